//! Goes through a directory and all below it, by descriptors, without recursion.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, Mode, Stat, fstat, openat, statat};
use rustix::io::Errno;

use super::unix::DIRECTORY;

/// Descriptors that are kept open. Beyond that the way back is `..`, which has to lead to where it came from.
const OPEN: usize = 64;

/// One place on the way.
struct Level {
    /// None where it was closed, as too many are open.
    fd: Option<OwnedFd>,
    identity: (u64, u64),
    mode: Mode,
    /// The names that are still to come, the next one last.
    names: Vec<CString>,
}

pub(super) struct Walk {
    levels: Vec<Level>,
    current: OwnedFd,
    path: PathBuf,
}

/// The next step of a walk.
pub(super) enum Step {
    /// A name in the current directory.
    Entry(CString),
    /// The current directory has no more. It is left by the next step, and had this mode.
    Left(Mode),
}

impl Walk {
    /// Begins at a directory that is no link.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let current = openat(CWD, root, DIRECTORY, Mode::empty())?;
        let level = Level::of(&current)?;
        Ok(Self { levels: vec![level], current, path: root.to_owned() })
    }

    /// The current directory.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.current.as_fd()
    }

    /// Its path, for people to read.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn path_of(&self, name: &CStr) -> PathBuf {
        self.path.join(OsStr::from_bytes(name.to_bytes()))
    }

    /// The next name; behind the last one of a directory, that it is left. None at the end of all.
    pub(super) fn next(&mut self) -> io::Result<Option<Step>> {
        let depth = self.levels.len();
        let Some(level) = self.levels.last_mut() else { return Ok(None) };
        if let Some(name) = level.names.pop() {
            return Ok(Some(Step::Entry(name)));
        }
        if depth == 1 {
            return Ok(None);
        }
        let mode = level.mode;
        self.leave()?;
        Ok(Some(Step::Left(mode)))
    }

    /// Goes into a directory of the current one.
    pub(super) fn enter(&mut self, name: &CStr) -> io::Result<()> {
        let inner = openat(&self.current, name, DIRECTORY, Mode::empty())?;
        let level = Level::of(&inner)?;
        let outer = std::mem::replace(&mut self.current, inner);
        let is_kept = self.levels.len() < OPEN;
        if let Some(last) = self.levels.last_mut().filter(|_| is_kept) {
            last.fd = Some(outer);
        }
        self.levels.push(level);
        self.path.push(OsStr::from_bytes(name.to_bytes()));
        Ok(())
    }

    /// Goes back to where the current directory was entered from.
    pub(super) fn leave(&mut self) -> io::Result<()> {
        let left = self.levels.pop();
        let Some(outer) = self.levels.last_mut().filter(|_| left.is_some()) else { return Ok(()) };
        self.current = match outer.fd.take() {
            Some(fd) => fd,
            None => {
                let fd = openat(&self.current, "..", DIRECTORY, Mode::empty())?;
                if identity(&fstat(&fd)?) != outer.identity {
                    return Err(io::Error::other("a directory was moved meanwhile"));
                }
                fd
            }
        };
        self.path.pop();
        Ok(())
    }
}

impl Level {
    fn of(fd: &OwnedFd) -> io::Result<Self> {
        let stat = fstat(fd)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(fd)? {
            let name = entry?.file_name().to_owned();
            if !matches!(name.to_bytes(), b"." | b"..") {
                names.push(name);
            }
        }
        names.sort_unstable_by(|one, other| other.cmp(one));
        Ok(Self { fd: None, identity: identity(&stat), mode: Mode::from_raw_mode(stat.st_mode), names })
    }
}

#[expect(clippy::useless_conversion, reason = "the widths differ between systems")]
fn identity(stat: &Stat) -> (u64, u64) {
    (u64::try_from(stat.st_dev).unwrap_or_default(), u64::from(stat.st_ino))
}

/// The status of what a name stands for, without following a link; none when it is gone.
pub(super) fn status(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<Option<Stat>> {
    match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
