//! The lock on a data directory: while one company runs there, no other starts.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A data directory, or rather the proof that this process alone works in it. Clones share the lock; it is released
/// with the last of them, or by the operating system when the process ends, however it ends.
#[derive(Clone, Debug)]
pub struct DataDirLock {
    dir: PathBuf,
    _file: Arc<File>,
}

/// A data directory that may be locked.
#[derive(Debug)]
pub struct DataDir;

/// Why a data directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error(
        "{} is in use by {}: use that company, stop it, or name another directory with --data-dir",
        dir.display(),
        holder_text(*holder)
    )]
    Held { dir: PathBuf, holder: Option<u32> },
    #[error("the data directory {} is not a directory: name another one with --data-dir", dir.display())]
    NotADirectory { dir: PathBuf },
    #[error(
        "the data directory {} can't be used: {source}; see that it may be written and has room, or name another one \
         with --data-dir", dir.display()
    )]
    Io { dir: PathBuf, source: io::Error },
}

fn holder_text(holder: Option<u32>) -> String {
    holder.map_or_else(|| "another company".to_owned(), |pid| format!("another company (pid {pid})"))
}

impl DataDir {
    /// Makes the directory (only for its owner) where there is none, and locks it.
    ///
    /// # Errors
    /// When another process holds the lock (it is named, except on Windows, where a locked file can't be read), or the
    /// directory can't be used.
    pub fn lock(dir: &Path) -> Result<DataDirLock, LockError> {
        let failed = |source| LockError::Io { dir: dir.to_owned(), source };
        if dir.exists() && !dir.is_dir() {
            return Err(LockError::NotADirectory { dir: dir.to_owned() });
        }
        make_dir(dir).map_err(failed)?;
        let path = dir.join("lock");
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { dir: dir.to_owned(), holder: pid(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        write_pid(&mut file).map_err(failed)?;
        Ok(DataDirLock { dir: dir.to_owned(), _file: Arc::new(file) })
    }
}

impl DataDirLock {
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

#[cfg(unix)]
fn make_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
fn make_dir(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

fn pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}
