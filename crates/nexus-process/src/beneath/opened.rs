//! A directory by its descriptor.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, mkdirat, openat, renameat, statat, symlinkat, unlinkat};

use super::Entry;

#[derive(Debug)]
pub(super) struct Place(OwnedFd);

/// A directory, and no link to one.
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// A pipe without its other end is no reason to wait, and a terminal is nobody's.
const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
const OWNERS: Mode = Mode::RUSR.union(Mode::WUSR);

impl Place {
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        Ok(Self(openat(CWD, root, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?))
    }

    /// A file by its path: links are followed, nothing is waited for.
    pub(super) fn file(path: &Path) -> io::Result<File> {
        let flags = FILE.difference(OFlags::NOFOLLOW) | OFlags::RDONLY;
        Ok(File::from(openat(CWD, path, flags, Mode::empty())?))
    }

    pub(super) fn again(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    pub(super) fn enter(&self, name: &Path) -> io::Result<Self> {
        Ok(Self(openat(&self.0, name, DIRECTORY, Mode::empty())?))
    }

    pub(super) fn make(&self, name: &Path) -> io::Result<()> {
        Ok(mkdirat(&self.0, name, Mode::RWXU)?)
    }

    pub(super) fn read(&self, name: &OsStr) -> io::Result<File> {
        Ok(File::from(openat(&self.0, name, FILE | OFlags::RDONLY, Mode::empty())?))
    }

    pub(super) fn create(&self, name: &OsStr) -> io::Result<File> {
        Ok(File::from(openat(&self.0, name, FILE | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL, OWNERS)?))
    }

    pub(super) fn replace(&self, name: &Path, text: &[u8]) -> io::Result<()> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        // Nobody has made one of this name; if somebody has, it is not written to.
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let new = format!(".nexus-{}-{number}", std::process::id());
        let _ = unlinkat(&self.0, new.as_str(), AtFlags::empty());
        let mut file = self.create(OsStr::new(&new))?;
        let written = file.write_all(text).and_then(|()| Ok(renameat(&self.0, new.as_str(), &self.0, name)?));
        if written.is_err() {
            let _ = unlinkat(&self.0, new.as_str(), AtFlags::empty());
        }
        written
    }

    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::empty())?)
    }

    pub(super) fn link(&self, name: &OsStr, target: &Path) -> io::Result<()> {
        Ok(symlinkat(target, &self.0, name)?)
    }

    pub(super) fn entries(&self, most: usize) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let name = entry?.file_name().to_owned();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if entries.len() >= most {
                break;
            }
            // One that is gone by now is none.
            let Ok(stat) = statat(&self.0, name.as_c_str(), AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let kind = FileType::from_raw_mode(stat.st_mode);
            let modified = u64::try_from(stat.st_mtime).ok().and_then(|seconds| {
                let nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or_default();
                SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos.min(999_999_999)))
            });
            entries.push(Entry {
                name: OsString::from_vec(name.into_bytes()),
                is_directory: kind == FileType::Directory,
                is_file: kind == FileType::RegularFile,
                modified,
            });
        }
        Ok(entries)
    }
}
