//! The directory an attempt works in: prepared before, kept or removed after; and what comes of it: a patch, a branch to be
//! applied, something to be cleaned up.
//!
//! What an agent has changed is never deleted, and the user's own checkout, index and hooks are never touched.

mod apply;
mod base;
mod branch;
mod clean;
mod clone;
mod combine;
mod copy;
mod error;
mod files;
mod finish;
mod git;
mod hazard;
mod lock;
mod patch;
mod repository;
mod workspaces;
mod worktree;

pub use apply::{Applied, How, Method, NotApplied};
pub use clean::{Cleaned, Left, Sweep};
pub use copy::remove as remove_all;
pub use error::WorkspaceError;
pub use finish::Finish;
pub use patch::Patch;
pub use workspaces::{Prepared, Workspaces};
