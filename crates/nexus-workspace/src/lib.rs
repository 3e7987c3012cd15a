//! The directory an attempt works in: prepared before, kept or removed after; and what comes of it: a patch, a branch to be
//! applied, something to be cleaned up.
//!
//! The changes of an agent are never deleted, and the user's own checkout, index and hooks are never touched.

mod alternates;
mod apply;
mod base;
mod below;
mod branch;
mod carry;
mod checkout;
mod checkouts;
mod clean;
mod clone;
mod combine;
mod copied;
mod copy;
mod delivery;
mod entry;
mod error;
mod facade;
mod files;
mod filters;
mod finish;
mod flatten;
mod foreign;
mod git;
mod hazard;
mod in_place;
mod index;
mod layered;
mod layers;
mod lfs;
mod lock;
mod medium;
mod opening;
mod patch;
mod paths;
mod plain;
mod prepared;
mod promisor;
mod racy;
mod repository;
mod seed;
mod settings;
mod sparse;
mod submodules;
mod survey;
mod uncommitted;
mod warm;
mod workspaces;
mod worktree;

pub use apply::{Applied, How, Method, NotApplied};
pub use checkouts::{Bounds, Stock};
pub use clean::{Cleaned, Left, Sweep};
pub use copy::remove as remove_all;
pub use error::WorkspaceError;
pub use finish::Finish;
pub use opening::Opened;
pub use patch::Patch;
pub use prepared::Prepared;
pub use warm::{Warming, Warmth};
pub use workspaces::Workspaces;
