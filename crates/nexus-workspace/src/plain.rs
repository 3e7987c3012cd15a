//! Files that an agent may have written, opened so that nothing leads elsewhere: no link is followed, no pipe is waited for.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

/// Reads a regular file below `directory`, of `limit` bytes at most. None where nothing is.
pub(crate) fn read(directory: &Path, below: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match open(directory, below) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidData, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {limit} bytes")));
    }
    Ok(Some(bytes))
}

/// Reads a file of a repository by its path, links followed; nothing where it isn't there, or is no file that can be read at once.
pub(crate) fn content(path: &Path) -> Vec<u8> {
    nexus_process::read_file(path, CONTENT).unwrap_or_default()
}

/// Bytes of a file that a repository keeps beside its objects.
const CONTENT: u64 = 16 << 20;

/// Writes a small file of ours as a whole: who is killed meanwhile leaves the one from before.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_added_extension("new");
    std::fs::write(&new, text)?;
    std::fs::rename(&new, path)
}

/// True if a directory is there, and not a link to one.
pub(crate) fn is_directory(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
}

#[cfg(target_os = "linux")]
fn open(directory: &Path, below: &Path) -> io::Result<File> {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
    use rustix::io::Errno;

    let root = openat(CWD, directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(&root, below, flags, Mode::empty(), resolve) {
        Ok(file) => Ok(File::from(file)),
        Err(Errno::LOOP) => Err(io::Error::new(ErrorKind::InvalidData, "it is a link, or lies behind one")),
        // Older than Linux 5.6, or filtered.
        Err(Errno::NOSYS | Errno::PERM) => by_parts(directory, below),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn open(directory: &Path, below: &Path) -> io::Result<File> {
    by_parts(directory, below)
}

/// Where the kernel can't see to it: for trees in which nobody is at work any more.
fn by_parts(directory: &Path, below: &Path) -> io::Result<File> {
    let mut path = directory.to_owned();
    for part in below.components() {
        path.push(part);
        let metadata = path.symlink_metadata()?;
        if !metadata.is_dir() && !metadata.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidData, "it is a link or a device, or lies behind one"));
        }
    }
    File::open(path)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_leads_elsewhere_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::create_dir(root.join("own")).unwrap();
        std::fs::write(root.join("secret"), "secret").unwrap();
        std::fs::write(root.join("own/file"), "text").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("own/link")).unwrap();
        std::os::unix::fs::symlink("..", root.join("own/up")).unwrap();
        let own = root.join("own");
        let read = |name: &str| read(&own, Path::new(name), 5);
        assert_eq!(read("file").unwrap().unwrap(), b"text");
        assert_eq!(read("none").unwrap(), None);
        for name in ["link", "up/secret", "../secret", "."] {
            assert!(read(name).is_err(), "{name}");
        }
        std::fs::write(own.join("file"), "longer").unwrap();
        assert!(read("file").is_err());
    }
}
