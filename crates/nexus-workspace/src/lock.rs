//! One at a time per repository: adding two worktrees at once, or fetching into one repository twice, fails on git's own
//! locks. Within this process by a mutex, across processes by a lock on a file in the repository.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

/// How often another process is waited for: a minute, all together. Whoever holds it longer stands still; git's own locks
/// keep the repository whole then.
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
    /// None where the repository can't be written, or another process stands still.
    _across: Option<File>,
}

impl Locks {
    pub(crate) async fn lock(&self, common: &Path) -> RepositoryLock {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            // One that only this map holds is used by nobody.
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(locks.entry(common.to_owned()).or_default())
        };
        let within = lock.lock_owned().await;
        RepositoryLock { _within: within, _across: across(common).await }
    }
}

async fn across(common: &Path) -> Option<File> {
    let path = common.join("nexus.lock");
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).ok()?;
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return Some(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
            Err(TryLockError::Error(error)) => {
                tracing::debug!(path = %path.display(), %error, "the repository can't be locked");
                return None;
            }
        }
    }
    tracing::warn!(path = %path.display(), "another process holds this lock for a minute: going on without it");
    None
}
