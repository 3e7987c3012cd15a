//! Where each task's branch has started from: remembered in the data directory, as it has to outlast an attempt, its
//! workspace and the company, and a ref in the user's repository would be seen.

use std::fs;
use std::path::{Path, PathBuf};

use nexus_core::id::TaskId;

use crate::plain;

/// Stands below the id of a base that is a snapshot of uncommitted changes.
const SNAPSHOT: &str = "snapshot";

/// One small file a task.
#[derive(Clone, Debug)]
pub(crate) struct Bases {
    directory: PathBuf,
}

impl Bases {
    /// Beside the directory of the workspaces.
    pub(crate) fn beside(workspaces: &Path) -> Self {
        Self { directory: workspaces.with_file_name("bases") }
    }

    pub(crate) fn get(&self, task: TaskId) -> Option<String> {
        let text = fs::read_to_string(self.directory.join(task.to_string())).ok()?;
        let id = text.lines().next()?.trim();
        is_commit(id).then(|| id.to_owned())
    }

    /// Remembers it, unless one is known. That it can't be written is no failure: the branch then counts from where it left
    /// the current one.
    pub(crate) fn begin(&self, task: TaskId, base: &str) -> String {
        if let Some(known) = self.get(task) {
            return known;
        }
        self.write(task, &format!("{base}\n"));
        base.to_owned()
    }

    /// Remembers a snapshot, which is kept for a next attempt where there is no workspace too.
    pub(crate) fn begin_snapshot(&self, task: TaskId, commit: &str) {
        self.write(task, &format!("{commit}\n{SNAPSHOT}\n"));
    }

    pub(crate) fn has_snapshot(&self, task: TaskId) -> bool {
        let text = fs::read_to_string(self.directory.join(task.to_string())).unwrap_or_default();
        text.lines().nth(1) == Some(SNAPSHOT)
    }

    fn write(&self, task: TaskId, text: &str) {
        self.write_to(&self.directory.join(task.to_string()), text);
    }

    fn write_to(&self, path: &Path, text: &str) {
        let write = || {
            fs::create_dir_all(&self.directory)?;
            plain::replace(path, text)
        };
        if let Err(error) = write() {
            tracing::warn!(path = %path.display(), %error, "where a branch stands is not remembered");
        }
    }

    /// Where we have set the task's branch to. What stands there was not moved by anybody else since.
    pub(crate) fn delivered(&self, task: TaskId) -> Option<String> {
        let text = fs::read_to_string(self.tip(task)).ok()?;
        let id = text.trim();
        is_commit(id).then(|| id.to_owned())
    }

    /// Remembers that. Where it can't be written, what comes next is set beside the branch instead of onto it.
    pub(crate) fn set_delivered(&self, task: TaskId, tip: &str) {
        self.write_to(&self.tip(task), &format!("{tip}\n"));
    }

    fn tip(&self, task: TaskId) -> PathBuf {
        self.directory.join(format!("{task}.tip"))
    }

    pub(crate) fn forget(&self, task: TaskId) {
        let _ = fs::remove_file(self.directory.join(task.to_string()));
        let _ = fs::remove_file(self.tip(task));
    }
}

/// An object's whole name, in SHA-1 or SHA-256.
pub(crate) fn is_commit(id: &str) -> bool {
    matches!(id.len(), 40 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}
