//! Agents that speak the Agent Client Protocol (kind `acp`): one conversation with one of them. The only crate that knows
//! agent-client-protocol.
//!
//! A conversation doesn't own the agent's process: it is fed the lines of the agent's standard output, and writes to its
//! standard input. What it decides is a pure machine (`machine.rs`), of messages in and actions out; the types of messages are
//! the official crate's. Its connection isn't used: that reads a stream by itself, queues without a bound, and ends at what it
//! doesn't know.

mod conversation;
mod files;
mod machine;
mod talk;
mod wire;

pub use conversation::Conversation;
pub use files::{FileError, Files, WorkspaceFiles};
pub use machine::{Brief, Question};
