//! Paths that the kernel follows beneath a directory, whatever links anybody makes meanwhile.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, openat, openat2};
use rustix::io::Errno;

use super::root::{Root, of};
use super::{May, Refusal, plain, walk};

/// Links are followed that stay within; the kernel's own (`/proc/*/fd`) never are.
const WITHIN: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);
/// A pipe without its other end is no reason to wait.
const ALWAYS: OFlags = OFlags::CLOEXEC.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

pub(super) fn open(root: &Root, below: &Path) -> io::Result<File> {
    match openat2(&root.fd, below, ALWAYS | OFlags::RDONLY, Mode::empty(), WITHIN) {
        // Older than Linux 5.6, or filtered.
        Err(Errno::NOSYS | Errno::PERM) => walk::open(root, below),
        file => plain(File::from(file?)),
    }
}

pub(super) fn create(root: &Root, below: &Path, may: &May<'_>) -> Result<File, Refusal> {
    let mut dir = match openat2(&root.fd, ".", OFlags::CLOEXEC | OFlags::DIRECTORY, Mode::empty(), WITHIN) {
        Err(Errno::NOSYS | Errno::PERM) => return walk::create(root, below, may),
        dir => dir.map_err(io::Error::from)?,
    };
    for part in below.parent().into_iter().flat_map(Path::components) {
        dir = enter(&dir, root, part.as_os_str(), may)?;
    }
    let name = below.file_name().unwrap_or_default();
    may(&place(&dir, root)?.join(name)).map_err(Refusal::Not)?;
    let flags = ALWAYS | OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW;
    let file = openat(&dir, name, flags, Mode::from_raw_mode(0o666)).map_err(io::Error::from)?;
    Ok(plain(File::from(file))?)
}

/// A directory within another, made if it isn't there. A link is followed as far as it stays within its own directory; one
/// that goes up, even to come back into the workspace, is refused.
fn enter(dir: &OwnedFd, root: &Root, name: &OsStr, may: &May<'_>) -> Result<OwnedFd, Refusal> {
    let enter = || openat2(dir, name, OFlags::CLOEXEC | OFlags::DIRECTORY, Mode::empty(), WITHIN);
    match enter() {
        Err(Errno::NOENT) => {}
        entered => return Ok(entered.map_err(io::Error::from)?),
    }
    may(&place(dir, root)?.join(name)).map_err(Refusal::Not)?;
    match mkdirat(dir, name, Mode::from_raw_mode(0o777)) {
        Ok(()) | Err(Errno::EXIST) => Ok(enter().map_err(io::Error::from)?),
        Err(error) => Err(io::Error::from(error).into()),
    }
}

/// Where a directory really is, below the workspace.
fn place(dir: &OwnedFd, root: &Root) -> io::Result<PathBuf> {
    let real = std::fs::read_link(of(dir))?;
    let root = std::fs::read_link(root.way())?;
    real.strip_prefix(&root).map(Path::to_owned).map_err(|_| ErrorKind::CrossesDevices.into())
}
