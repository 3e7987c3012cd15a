//! Removes a directory with all below it, however deep it is and whoever has closed parts of it.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, fchmod, openat, unlinkat};
use rustix::io::Errno;

use super::walk::{Step, Walk};

/// Removes a directory with all that is in it, without following symbolic links; one that is not there is no error. Blocks.
///
/// # Errors
/// It is no directory, or something in it can't be removed.
pub fn remove(directory: &Path) -> io::Result<()> {
    let mut walk = match Walk::open(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(CWD, &CString::new(directory.as_os_str().as_bytes())?)?;
            Walk::open(directory)?
        }
        opened => opened?,
    };
    let _ = fchmod(walk.fd(), Mode::RWXU);
    // The names on the way down, as a directory is removed from the one that holds it.
    let mut entered: Vec<CString> = Vec::new();
    while let Some(step) = walk.next()? {
        match step {
            Step::Left(_) => {
                let name = entered.pop().unwrap_or_default();
                gone(unlinkat(walk.fd(), &name, AtFlags::REMOVEDIR))?;
            }
            Step::Entry(name) => match unlinkat(walk.fd(), &name, AtFlags::empty()) {
                // What it is where it is a directory depends on the system.
                Err(Errno::ISDIR | Errno::PERM) => {
                    enter(&mut walk, &name)?;
                    entered.push(name);
                }
                removed => gone(removed)?,
            },
        }
    }
    gone(rustix::fs::rmdir(directory))
}

fn gone(removed: rustix::io::Result<()>) -> io::Result<()> {
    match removed {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn enter(walk: &mut Walk, name: &CStr) -> io::Result<()> {
    if let Err(error) = walk.enter(name) {
        if error.kind() != io::ErrorKind::PermissionDenied {
            return Err(error);
        }
        open_up(walk.fd(), name)?;
        walk.enter(name)?;
    }
    // Nothing can be removed from a read-only one. That of another user is tried as it is.
    let _ = fchmod(walk.fd(), Mode::RWXU);
    Ok(())
}

/// Lets the owner enter a directory that can't be opened.
#[cfg(target_os = "linux")]
fn open_up(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = openat(directory, name, flags, Mode::empty())?;
    // By the descriptor, as a name could be a link by now.
    let path = format!("/proc/self/fd/{}", place.as_fd().as_raw_fd());
    Ok(rustix::fs::chmod(OsStr::new(&path), Mode::RWXU)?)
}

#[cfg(not(target_os = "linux"))]
fn open_up(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    Ok(rustix::fs::chmodat(directory, name, Mode::RWXU, AtFlags::SYMLINK_NOFOLLOW)?)
}
