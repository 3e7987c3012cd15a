//! The group that a tree is born in.

use std::cell::Cell;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::named;

/// Where a tree is born, and how it is ended.
#[derive(Debug)]
pub(super) struct Nest {
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
    /// The number of those before it.
    number: u64,
    /// `cgroup.kill` was used. Linux (6.18) compares how often the group of a child was killed with how often that of its
    /// parent was, and kills the child if they differ: so nothing can be born into this one any more.
    pub(super) used_up: Cell<bool>,
}

impl Nest {
    pub(super) fn make(warden: &Path, number: u64) -> io::Result<Self> {
        let path = warden.join(format!("tree{number}"));
        fs::create_dir_all(&path).map_err(|error| named(&path, &error))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&path, flags, Mode::empty())?;
        Ok(Self { fd, path, number, used_up: Cell::new(false) })
    }

    pub(super) fn renew(&mut self) -> io::Result<()> {
        let warden = self.path.parent().unwrap_or(&self.path).to_owned();
        let next = Self::make(&warden, self.number + 1)?;
        // Its last processes may be on their way out: then it goes when all of the company's groups do.
        let _ = fs::remove_dir(&self.path);
        *self = next;
        Ok(())
    }
}
