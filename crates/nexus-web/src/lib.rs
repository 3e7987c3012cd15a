//! HTTP: health, a page that says where things are, and whatever is mounted at `/mcp`.
//!
//! Only loopback is listened on, and a socket that is the user's alone. Only requests that were meant for this machine and
//! show the company's token are answered.

mod bind;
mod guard;
mod lobby;
mod page;
mod peer;
mod routes;
mod serve;
mod token;

pub use bind::{BindError, Bound, Web};
pub use token::{NoToken, Token};
