//! Opening a path that an agent may have changed since it was looked at: without following any link.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::path::Arg;
use serde::{Deserialize, Serialize};

use super::mounts::path as as_path;

/// Opens the absolute `path` as a place.
pub(super) fn open(path: &CStr) -> rustix::io::Result<OwnedFd> {
    beneath(CWD, path, ResolveFlags::empty())
}

/// Opens `path` within `directory`, and nothing outside of it.
pub(super) fn open_in(directory: impl AsFd, path: &CStr) -> rustix::io::Result<OwnedFd> {
    beneath(directory, path, ResolveFlags::BENEATH)
}

/// Opens a place as [`open`] does as far as it lies below one of `writable`, where an agent may have left a link; the way to that
/// one is the user's. None: it lies below none.
pub(super) fn open_below(path: &CStr, writable: &[&CStr]) -> Option<rustix::io::Result<OwnedFd>> {
    let whole = as_path(path);
    let holds = |holder: &&&CStr| whole != as_path(holder) && whole.starts_with(as_path(holder));
    let holder = writable.iter().filter(holds).max_by_key(|holder| as_path(holder).as_os_str().len())?;
    let below = whole.strip_prefix(as_path(holder)).ok()?;
    let opened = open_below(holder, writable)
        .unwrap_or_else(|| rustix::fs::open(*holder, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()));
    Some(opened.and_then(|holder| beneath(holder, below, ResolveFlags::BENEATH)))
}

/// The advice on a link that was found instead of a place.
pub(super) fn remove_it(place: &CStr) -> String {
    format!("{} is a link, or lies behind one, where an agent may write: remove it", as_path(place).display())
}

/// The same as an error of a place that could not be opened, which tells which one it was.
pub(super) fn named(error: Errno, place: &CStr) -> io::Error {
    match error {
        Errno::LOOP => io::Error::other(remove_it(place)),
        error => io::Error::other(format!("{}: {error}", as_path(place).display())),
    }
}

fn beneath(directory: impl AsFd, path: impl Arg + Copy, more: ResolveFlags) -> rustix::io::Result<OwnedFd> {
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
