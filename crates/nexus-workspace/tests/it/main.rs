//! Workspaces on real directories and real git repositories.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that can't go on says so by failing")]
#![expect(clippy::print_stderr, reason = "a test says why it is skipped")]

mod apply;
mod clean;
mod clone;
mod copy;
mod diff;
mod hazard;
mod layers;
mod leftovers;
mod modes;
mod oddities;
mod opening;
mod repositories;
mod submodules;
mod support;
mod uncommitted;
mod warm;
mod worktree;
