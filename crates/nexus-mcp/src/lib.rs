//! MCP: the tools, and the log of a task as a resource, over standard input and output and over HTTP.
//!
//! Every call is forwarded to the company by [`nexus_bus::Client`]; nothing is kept here. Both protocol eras are
//! served on both transports: 2026-07-28 (stateless) and 2025-11-25 and older (with `initialize`).

mod answer;
mod args;
mod envelope;
mod fault;
mod http;
mod lines;
mod pace;
mod progress;
mod resource;
mod scope;
mod server;
mod stdio;
mod tools;

pub use http::{HttpService, http_service};
pub use scope::{Scope, serve_agent};
pub use server::Server;
pub use stdio::{ExitReason, StdioError, serve_stdio};
