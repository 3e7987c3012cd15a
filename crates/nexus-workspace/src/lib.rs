//! The directory an attempt works in: prepared before, kept or removed after.
//!
//! What an agent has changed is never deleted, and the user's own checkout, index and hooks are never touched.

mod base;
mod branch;
mod clone;
mod copy;
mod error;
mod files;
mod finish;
mod git;
mod lock;
mod repository;
mod workspaces;
mod worktree;

pub use copy::remove as remove_all;
pub use error::WorkspaceError;
pub use finish::Finish;
pub use workspaces::{Prepared, Workspaces};
