//! Copies of a project: whole or not at all, and recognised when nothing in them has changed; and the removal of what agents
//! have left.
//!
//! Everything is done from opened directories, one name at a time: a path could lead elsewhere by the time that it is used, as
//! an agent may be at work in the project.

#[cfg(unix)]
mod file;
#[cfg(not(unix))]
mod plain;
#[cfg(unix)]
mod removal;
#[cfg(unix)]
mod walk;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::WorkspaceError;

#[cfg(not(unix))]
pub(crate) use plain::fingerprint;
#[cfg(not(unix))]
pub use plain::remove;
#[cfg(unix)]
pub use removal::remove;

/// Beyond this a copy takes minutes and is hardly what was meant.
pub(crate) const MAX_FILES: usize = 100_000;
pub(crate) const MAX_BYTES: u64 = 1 << 30;

/// Why a copy has stopped.
enum Cut {
    TooBig,
    Io { doing: &'static str, path: PathBuf, source: io::Error },
}

impl Cut {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    fn of(self, project: &Path) -> WorkspaceError {
        match self {
            Self::TooBig => {
                WorkspaceError::TooBig { project: project.to_owned(), files: MAX_FILES, mib: MAX_BYTES >> 20 }
            }
            Self::Io { doing, path, source } => WorkspaceError::Io { doing, path, source },
        }
    }
}

/// The size of a project, as far as it has been seen.
#[derive(Default)]
struct Size {
    entries: usize,
    bytes: u64,
}

impl Size {
    fn add(&mut self, bytes: u64) -> Result<(), Cut> {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.entries > MAX_FILES || self.bytes > MAX_BYTES { Err(Cut::TooBig) } else { Ok(()) }
    }
}

/// Copies `project` to `target` without the directory `skip`, and returns the copy's fingerprint. Symbolic links, permissions,
/// times and holes are kept. Sockets, pipes, devices and what can't be read are left out. Only its owner can enter the copy.
/// Blocks.
pub(crate) fn copy(project: &Path, target: &Path, skip: &Path) -> Result<u64, WorkspaceError> {
    measure(project, skip).map_err(|cut| cut.of(project))?;
    let partial = target.with_extension("partial");
    // From a copy that was cut off: nobody has worked in it yet.
    remove(&partial).map_err(WorkspaceError::io("remove", &partial))?;
    let copied = perform(project, &partial, skip).map_err(|cut| cut.of(project)).and_then(|()| {
        fs::rename(&partial, target).map_err(WorkspaceError::io("create", target))?;
        fingerprint(target).map_err(WorkspaceError::io("read", target))
    });
    if copied.is_err() {
        let _ = remove(&partial);
    }
    copied
}

#[cfg(not(unix))]
use plain::{measure, perform};

#[cfg(unix)]
pub(crate) use unix::fingerprint;
#[cfg(unix)]
use unix::{measure, perform};

#[cfg(unix)]
mod unix {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    use std::io;
    use std::path::Path;

    use rustix::fs::{FileType, Mode, OFlags, mkdirat, readlinkat, symlinkat};
    use rustix::io::Errno;

    use super::walk::{Step, Walk, status};
    use super::{Cut, Size, file};

    /// Refuses a project that is too big before anything of it is copied.
    pub(super) fn measure(project: &Path, skip: &Path) -> Result<(), Cut> {
        let mut size = Size::default();
        let mut walk = Walk::open(project).map_err(Cut::io("read", project))?;
        while let Some(step) = walk.next().map_err(Cut::io("read", walk.path()))? {
            let Step::Entry(name) = step else { continue };
            let Some(stat) = status(walk.fd(), &name).map_err(Cut::io("read", walk.path()))? else { continue };
            let kind = FileType::from_raw_mode(stat.st_mode);
            let path = walk.path_of(&name);
            if path == skip {
                continue;
            }
            match kind {
                FileType::RegularFile => size.add(u64::try_from(stat.st_size).unwrap_or(u64::MAX))?,
                FileType::Symlink => size.add(0)?,
                FileType::Directory => {
                    size.add(0)?;
                    unless_closed(walk.enter(&name)).map_err(Cut::io("read", &path))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn perform(project: &Path, target: &Path, skip: &Path) -> Result<(), Cut> {
        let (mut size, mut left_out) = (Size::default(), 0_u32);
        let mut from = Walk::open(project).map_err(Cut::io("read", project))?;
        rustix::fs::mkdir(target, Mode::RWXU).map_err(|error| Cut::io("create", target)(error.into()))?;
        let mut to = Walk::open(target).map_err(Cut::io("read", target))?;
        while let Some(step) = from.next().map_err(Cut::io("read", from.path()))? {
            let name = match step {
                Step::Entry(name) => name,
                Step::Left(mode) => {
                    // At last, since nothing can be put into a read-only one.
                    rustix::fs::fchmod(to.fd(), mode & Mode::from_raw_mode(0o777))
                        .map_err(|error| Cut::io("set the permissions of", to.path())(error.into()))?;
                    to.leave().map_err(Cut::io("read", to.path()))?;
                    continue;
                }
            };
            let path = from.path_of(&name);
            if path == skip {
                continue;
            }
            let Some(stat) = status(from.fd(), &name).map_err(Cut::io("read", &path))? else { continue };
            let copied = match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => file::copy(from.fd(), to.fd(), &name, &mut size)?,
                FileType::Symlink => {
                    size.add(0)?;
                    readlinkat(from.fd(), &name, Vec::new()).and_then(|aim| symlinkat(aim, to.fd(), &name))
                }
                FileType::Directory => {
                    size.add(0)?;
                    // Opened before it is made: what can't be entered is there, and empty.
                    let entered = unless_closed(from.enter(&name)).map_err(Cut::io("read", &path))?;
                    mkdirat(to.fd(), &name, Mode::RWXU)
                        .map_err(|error| Cut::io("create", &to.path_of(&name))(error.into()))?;
                    if entered {
                        to.enter(&name).map_err(Cut::io("read", to.path()))?;
                        Ok(())
                    } else {
                        Err(Errno::ACCESS)
                    }
                }
                _ => Ok(()),
            };
            match copied {
                Ok(()) => {}
                // Something of another user's, a database say; or somebody at work in the project has removed it.
                Err(Errno::ACCESS | Errno::PERM) => left_out += 1,
                Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => {}
                Err(error) => return Err(Cut::io("copy", &path)(error.into())),
            }
        }
        if left_out > 0 {
            tracing::warn!(project = %project.display(), left_out, "what can't be read is not in the copy");
        }
        Ok(())
    }

    /// True if a directory was entered. One that is closed or gone is left out.
    fn unless_closed(entered: io::Result<()>) -> io::Result<bool> {
        match entered {
            Ok(()) => Ok(true),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::ACCESS | Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => Ok(false),
                _ => Err(error),
            },
        }
    }

    /// Sums up names, kinds, sizes and times of all that is in a directory: equal as long as nothing was changed.
    pub(crate) fn fingerprint(directory: &Path) -> io::Result<u64> {
        let mut hasher = DefaultHasher::new();
        let mut walk = Walk::open(directory)?;
        while let Some(step) = walk.next()? {
            let Step::Entry(name) = step else {
                "..".hash(&mut hasher);
                continue;
            };
            let stat = rustix::fs::statat(walk.fd(), &name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
            name.hash(&mut hasher);
            // When contents, name or permissions were changed last nobody can set back.
            (stat.st_size, stat.st_mode, stat.st_mtime, stat.st_mtime_nsec).hash(&mut hasher);
            (stat.st_ctime, stat.st_ctime_nsec).hash(&mut hasher);
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                // What its owner can't enter stays as unknown as it was.
                unless_closed(walk.enter(&name))?;
            }
        }
        Ok(hasher.finish())
    }

    /// The flags that directories are opened with: never by a link.
    pub(super) const DIRECTORY: OFlags =
        OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
}
