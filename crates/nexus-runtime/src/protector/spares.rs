//! Homes that are as new when their task is over, kept for the next one.
//!
//! Much of a confined start is to make the places in a home that something is mounted over, and to remove them: on some file
//! systems it is most of it. What an agent could leave for the next task to find is never kept: only directories that are
//! empty, called as the company has called them, and set back to how they were made.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nexus_core::id::TaskId;
use nexus_process::Confinement;
use nexus_process::confinement::home::{Places, places, renew};

/// Homes that are kept at a time: as many as agents are likely to run at once.
const MANY: usize = 64;

/// The homes that are kept.
#[derive(Debug)]
pub(super) struct Spares {
    dir: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    kept: Vec<(Arc<Places>, PathBuf)>,
    /// The places in the home of each task that has one.
    places: HashMap<TaskId, Arc<Places>>,
    number: u64,
}

impl Spares {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self { dir: data_dir.join("spare"), known: Mutex::default() }
    }

    /// Removes what a former run has kept.
    pub(super) fn clear(&self) {
        if let Err(error) = nexus_workspace::remove_all(&self.dir) {
            tracing::warn!(path = %self.dir.display(), "empty homes of a former run are left: {error}");
        }
    }

    /// Puts one at `private`, if there is one that suits this confinement and the task has none yet; true if so. Blocks.
    pub(super) fn put(&self, task: TaskId, private: &Path, confinement: &Confinement) -> bool {
        let places = Arc::new(places(&task.to_string(), private, confinement));
        let is_first = private.symlink_metadata().is_err();
        let spare = {
            let mut known = self.known();
            let found = known.kept.iter().position(|(kept, _)| is_first && *kept == places);
            known.places.insert(task, places);
            found.map(|at| known.kept.swap_remove(at).1)
        };
        spare.is_some_and(|spare| match std::fs::rename(&spare, private) {
            Ok(()) => true,
            Err(_) => {
                self.remove(&spare);
                false
            }
        })
    }

    /// Takes the task's home, if it can be kept. Blocks.
    pub(super) fn take(&self, task: TaskId, private: &Path) -> bool {
        let (places, spare) = {
            let mut known = self.known();
            let Some(places) = known.places.remove(&task) else { return false };
            if known.kept.len() >= MANY {
                return false;
            }
            known.number += 1;
            (places, self.dir.join(known.number.to_string()))
        };
        let taken = renew(private, &places, &task.to_string()).is_ok_and(|is_new| is_new)
            && std::fs::create_dir_all(&self.dir).and_then(|()| std::fs::rename(private, &spare)).is_ok();
        if taken {
            self.known().kept.push((places, spare));
        }
        taken
    }

    fn remove(&self, spare: &Path) {
        if let Err(error) = nexus_workspace::remove_all(spare) {
            tracing::warn!(path = %spare.display(), "an empty home is left: {error}");
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
