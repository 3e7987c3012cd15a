//! The workspace's directory. It is opened once, before its agent runs: what the agent puts in its place later isn't looked at.

use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};
#[cfg(target_os = "linux")]
use std::sync::Arc;

#[derive(Clone, Debug)]
pub(super) struct Root {
    /// As the company calls it.
    pub(super) path: PathBuf,
    /// With no link in it.
    real: PathBuf,
    #[cfg(target_os = "linux")]
    pub(super) fd: Arc<OwnedFd>,
}

impl Root {
    /// Follows links on the way to `holder`, and none on the way from there: an agent may have put one there.
    #[cfg(target_os = "linux")]
    pub(super) fn open(holder: &Path, below: &Path) -> io::Result<Self> {
        use rustix::fs::{CWD, Mode, OFlags, openat};

        let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut fd = openat(CWD, holder, directory, Mode::empty())?;
        for part in below.components() {
            match part {
                Component::CurDir => {}
                Component::Normal(name) => fd = openat(&fd, name, directory | OFlags::NOFOLLOW, Mode::empty())?,
                _ => return Err(io::ErrorKind::InvalidInput.into()),
            }
        }
        let real = std::fs::read_link(of(&fd))?;
        // Without a slash at its end where nothing is below.
        let path = holder.join(below).components().collect();
        Ok(Self { path, real, fd: Arc::new(fd) })
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn open(holder: &Path, below: &Path) -> io::Result<Self> {
        let path = holder.join(below);
        let is_plain = below.components().all(|part| matches!(part, Component::CurDir | Component::Normal(_)));
        let real = path.canonicalize()?;
        if !is_plain || real != holder.canonicalize()?.join(below) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { path, real })
    }

    /// A path that leads to the very directory that was opened.
    #[cfg(target_os = "linux")]
    pub(super) fn way(&self) -> PathBuf {
        of(&self.fd)
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn way(&self) -> PathBuf {
        self.real.clone()
    }

    /// The part of a path that is below it, whichever of its names the path has.
    pub(super) fn strip<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        path.strip_prefix(&self.path).or_else(|_| path.strip_prefix(&self.real)).ok()
    }
}

#[cfg(target_os = "linux")]
pub(super) fn of(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}
