//! Opening a path that an agent may have changed since it was looked at: without following any link.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// Opens the absolute `path` as a place.
pub(super) fn open(path: &CStr) -> rustix::io::Result<OwnedFd> {
    beneath(CWD, path, ResolveFlags::empty())
}

/// Opens `path` within `directory`, and nothing outside of it.
pub(super) fn open_in(directory: impl AsFd, path: &CStr) -> rustix::io::Result<OwnedFd> {
    beneath(directory, path, ResolveFlags::BENEATH)
}

fn beneath(directory: impl AsFd, path: &CStr, more: ResolveFlags) -> rustix::io::Result<OwnedFd> {
    let (flags, how) = (OFlags::PATH | OFlags::CLOEXEC, ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS);
    loop {
        match openat2(&directory, path, flags, Mode::empty(), how | more) {
            // Something was renamed meanwhile.
            Err(Errno::AGAIN | Errno::INTR) => {}
            opened => return opened,
        }
    }
}

/// Which file or directory a path has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    dev: u64,
    ino: u64,
}

impl Identity {
    pub(super) fn of(opened: impl AsFd) -> rustix::io::Result<Self> {
        let stat = rustix::fs::fstat(opened)?;
        Ok(Self { dev: stat.st_dev, ino: stat.st_ino })
    }
}
