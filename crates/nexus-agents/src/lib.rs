//! Agents: how each kind is started with its task, and which of a department's agents gets a task.

mod adapter;
mod choose;
mod claude;
mod codex;
mod command;
mod complete;
mod copilot;
mod gemini;
mod json;
mod opencode;
mod qwen;
mod stream_json;
mod tail;
#[cfg(test)]
mod testing;
mod trouble;
mod version;

pub use adapter::{Adapter, Brief, Launch, Login, Look, Needs, Reader, SideFile, ToolServer, adapter};
pub use choose::{Choice, Closed, Standing, Wish, choose, closed, find, is_installed, program};
pub use command::{launch, variables};
pub use complete::complete;
pub use trouble::trouble as trouble_of;
pub use version::{is_older, tried, version};
