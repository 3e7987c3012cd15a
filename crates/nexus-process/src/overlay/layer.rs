//! The layer of an overlay that has taken the changes: how its entries are to be read.
//!
//! Two forms of the kernel's notes are known: `trusted.overlay.*`, which real root's overlays keep and only real root can read,
//! and `user.overlay.*`.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// An entry of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A regular file: it is seen in place of what lies below.
    File,
    Symlink,
    /// A directory.
    Dir {
        /// Nothing of the layers below is seen in it.
        opaque: bool,
        /// It is seen over another directory of the layers below: a path from the top of the layer if it begins with a
        /// slash, else a name beside it.
        redirect: Option<PathBuf>,
    },
    /// What the layers below have there is gone.
    Whiteout,
    /// A device, a pipe or a socket.
    Other,
}

/// The two forms of the kernel's notes.
const FORMS: [&str; 2] = ["trusted.overlay.", "user.overlay."];

/// What `name` in the opened `directory` is. No link is followed.
///
/// # Errors
/// When it isn't there, or can't be looked at.
pub fn kind(directory: impl AsFd, name: &OsStr) -> io::Result<Entry> {
    let name = CString::new(name.as_bytes())?;
    let opened =
        rustix::fs::openat(&directory, &name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let stat = rustix::fs::fstat(&opened)?;
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::CharacterDevice if is_whiteout(&stat) => Entry::Whiteout,
        FileType::RegularFile if stat.st_size == 0 && note(&opened, "whiteout")?.is_some() => Entry::Whiteout,
        FileType::RegularFile => Entry::File,
        FileType::Symlink => Entry::Symlink,
        FileType::Directory => Entry::Dir {
            // "x": its whiteouts may be of the second form, and the layers below are seen in it.
            opaque: note(&opened, "opaque")?.is_some_and(|value| value == b"y"),
            redirect: note(&opened, "redirect")?.map(|path| OsString::from_vec(path).into()),
        },
        _ => Entry::Other,
    })
}

/// The common form of a whiteout: a character device that belongs to nothing.
#[must_use]
pub fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// A note of the kernel on an opened file or directory.
fn note(opened: &OwnedFd, name: &str) -> io::Result<Option<Vec<u8>>> {
    // By the descriptor itself only files that were opened to be read can be asked. It is not a link.
    let path = format!("/proc/self/fd/{}", opened.as_raw_fd());
    let mut value = vec![0; LONGEST];
    for form in FORMS {
        match rustix::fs::getxattr(&path, format!("{form}{name}"), value.as_mut_slice()) {
            Ok(length) => {
                value.truncate(length);
                return Ok(Some(value));
            }
            Err(Errno::NODATA | Errno::NOTSUP | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// Bytes of a redirect: a path.
const LONGEST: usize = 4096;
