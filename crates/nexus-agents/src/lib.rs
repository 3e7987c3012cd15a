//! Agents: how each kind is started with its task, and which of a department's agents gets a task.

mod choose;
mod command;

pub use choose::{choose, is_installed};
pub use command::{Launch, launch};
