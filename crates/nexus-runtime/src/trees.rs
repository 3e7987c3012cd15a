//! One at a time in each tree of tasks: whoever asks for one more, and whoever cancels.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use nexus_core::id::TaskId;
use tokio::sync::OwnedMutexGuard;

/// The trees that somebody is at, by their first task. Bounded by the questions that the CEO has in hand.
#[derive(Debug, Default)]
pub(crate) struct Trees(Mutex<HashMap<TaskId, Weak<tokio::sync::Mutex<()>>>>);

impl Trees {
    /// Waits until nobody else is at this tree.
    pub(crate) async fn alone(&self, root: TaskId) -> OwnedMutexGuard<()> {
        let lock = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|_, lock| lock.strong_count() > 0);
            let known = all.get(&root).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let lock = Arc::default();
                all.insert(root, Arc::downgrade(&lock));
                lock
            })
        };
        lock.lock_owned().await
    }
}
