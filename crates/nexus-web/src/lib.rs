//! HTTP: health, a page that says where things are, and whatever is mounted at `/mcp`.
//!
//! Only loopback is listened on, and only requests that were meant for this machine are answered.

mod bind;
mod guard;
mod page;
mod routes;

pub use bind::{BindError, Bound, Web};
