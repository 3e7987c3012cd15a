//! One at a time per repository: adding two worktrees at once, or fetching into one repository twice, fails on git's own
//! locks. Within this process by a mutex, across the user's processes by a lock on a file.
//!
//! That file is in a directory of the user's own. In the repository every agent that may read it could take the lock, which
//! needs no right to write, and keep all others waiting. Other users are kept apart by git's own locks alone.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use crate::error::WorkspaceError;

/// The number of tries to get a lock that another process holds: a minute, all together. Whoever holds it longer is at work on
/// something big, or stands still.
const TRIES: u32 = 600;
const PAUSE: Duration = Duration::from_millis(100);

/// The repositories in use, by the directory that all their worktrees share. Entries go with their users.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    locks: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
}

/// While this lives nobody else in any company changes the repository.
#[derive(Debug)]
pub(crate) struct RepositoryLock {
    _within: OwnedMutexGuard<()>,
    /// None where no lock file can be made, or another process has been waited for in vain.
    _across: Option<FileLock>,
}

/// Another process holds it.
struct Held(PathBuf);

impl Locks {
    /// For an attempt, which goes on without it after a minute: git's own locks keep the repository whole then.
    pub(crate) async fn lock(&self, common: &Path) -> RepositoryLock {
        let within = self.within(common).await;
        let across = across(common, TRIES).await.unwrap_or_else(|Held(path)| {
            tracing::warn!(path = %path.display(), "another process holds this lock for a minute: going on without it");
            None
        });
        RepositoryLock { _within: within, _across: across }
    }

    /// For what takes effect on the user's own branches, or removes something: refused while another process holds it.
    pub(crate) async fn lock_or_refuse(&self, common: &Path) -> Result<RepositoryLock, WorkspaceError> {
        let within = self.within(common).await;
        let across = across(common, TRIES).await.map_err(|Held(path)| WorkspaceError::Busy(path))?;
        Ok(RepositoryLock { _within: within, _across: across })
    }

    async fn within(&self, common: &Path) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            // One that only this map holds is used by nobody.
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(locks.entry(common.to_owned()).or_default())
        };
        lock.lock_owned().await
    }
}

/// A lock file that is this process's, and goes with this.
#[derive(Debug)]
struct FileLock {
    path: PathBuf,
    _file: File,
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // While the lock is still held: whoever has opened it before finds that it is gone, and makes another.
        if cfg!(unix) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

async fn across(common: &Path, tries: u32) -> Result<Option<FileLock>, Held> {
    let path = place(common);
    for _ in 0..tries {
        let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let Ok(file) = opened else { return Ok(None) };
        match file.try_lock() {
            Ok(()) if is_at(&file, &path) => return Ok(Some(FileLock { path, _file: file })),
            // It was given back, and removed, just now.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
            Err(TryLockError::Error(error)) => {
                tracing::debug!(path = %path.display(), %error, "the repository can't be locked");
                return Ok(None);
            }
        }
    }
    Err(Held(path))
}

/// The lock file of a repository: in the user's own directory, or in the repository where there is none.
fn place(common: &Path) -> PathBuf {
    let common = common.canonicalize().unwrap_or_else(|_| common.to_owned());
    let name = common.parent().and_then(Path::file_name).unwrap_or_default();
    let mut file = OsString::from(format!("{:016x}-", hash(common.as_os_str().as_encoded_bytes())));
    file.push(name);
    file.push(".lock");
    match own_directory() {
        Some(directory) if name.len() < 200 => directory.join(file),
        _ => common.join("nexus.lock"),
    }
}

/// Where state of programs is kept, and not of one company: several of a user's may work on one repository.
fn own_directory() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = named.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")))?;
    let directory = state.join("nexus/locks");
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(&directory).ok()?;
    Some(directory)
}

/// FNV-1a, the same in every version. Two repositories with the same one only wait for each other.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// True if the opened file is the one that has this path.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let (opened, named) = (file.metadata().map(identity), path.symlink_metadata().map(identity));
    matches!((opened, named), (Ok(opened), Ok(named)) if opened == named)
}

#[cfg(not(unix))]
const fn is_at(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_that_another_process_holds() {
        let directory = tempfile::tempdir().unwrap();
        let common = directory.path();
        // To the system another opening of the file is as another process.
        let other = across(common, 1).await.ok().flatten().unwrap();
        let begun = tokio::time::Instant::now();
        let refused = Locks::default().lock_or_refuse(common).await.unwrap_err().to_string();
        assert!(begun.elapsed() >= Duration::from_secs(60));
        let path = place(common).display().to_string();
        assert!(!place(common).starts_with(common), "an agent that works there could take it");
        assert!(refused.contains(&path) && refused.contains("nexus apply"), "{refused}");
        assert!(Locks::default().lock(common).await._across.is_none());
        drop(other);
        assert!(!place(common).exists());
        assert!(Locks::default().lock_or_refuse(common).await.unwrap()._across.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_given_back_while_it_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let other = across(directory.path(), 1).await.ok().flatten().unwrap();
        let locks = Locks::default();
        let later = async {
            tokio::time::timeout(Duration::from_secs(50), std::future::pending::<()>()).await.unwrap_err();
            drop(other);
        };
        let (locked, ()) = tokio::join!(locks.lock_or_refuse(directory.path()), later);
        assert!(locked.unwrap()._across.is_some());
    }
}
