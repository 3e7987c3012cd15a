//! One at a time per repository: adding two worktrees at once, or fetching into one repository twice, fails on git's own
//! locks. Within this process by a mutex, across processes by a lock on a file in the repository.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use crate::error::WorkspaceError;

/// How often another process is waited for: a minute, all together. Whoever holds it longer is at work on something big, or
/// stands still.
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
    /// None where the repository can't be written, or another process has been waited for in vain.
    _across: Option<File>,
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

async fn across(common: &Path, tries: u32) -> Result<Option<File>, Held> {
    let path = common.join("nexus.lock");
    let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
    let Ok(file) = opened else { return Ok(None) };
    for _ in 0..tries {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
            Err(TryLockError::Error(error)) => {
                tracing::debug!(path = %path.display(), %error, "the repository can't be locked");
                return Ok(None);
            }
        }
    }
    Err(Held(path))
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
        let path = common.join("nexus.lock").display().to_string();
        assert!(refused.contains(&path) && refused.contains("nexus apply"), "{refused}");
        assert!(Locks::default().lock(common).await._across.is_none());
        drop(other);
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
