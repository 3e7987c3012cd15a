//! The places of one run: everything it writes is below one directory, by which its processes are known too.

use std::fs;
use std::path::{Path, PathBuf};

use nexus_core::id::TaskId;

use crate::error::HarnessError;

/// A run's directory.
#[derive(Clone, Debug)]
pub(crate) struct Site(PathBuf);

impl Site {
    pub(crate) fn new(root: PathBuf) -> Result<Self, HarnessError> {
        for dir in ["locks", "mended", "config/departments", "project", "repository", "logs", "bin"] {
            fs::create_dir_all(root.join(dir)).map_err(HarnessError::io("a run's directory"))?;
        }
        Ok(Self(root))
    }

    pub(crate) fn existing(root: PathBuf) -> Self {
        Self(root)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    pub(crate) fn marks(&self) -> PathBuf {
        self.0.join("marks")
    }

    /// The file whose lock a task's process tree holds.
    pub(crate) fn lock(&self, task: TaskId) -> PathBuf {
        self.0.join("locks").join(task.to_string())
    }

    /// The file that lets the `n`th piece of work succeed, if it is broken.
    pub(crate) fn mended(&self, n: u32) -> PathBuf {
        self.0.join("mended").join(n.to_string())
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.0.join("config")
    }

    /// Where the agents work.
    pub(crate) fn project(&self) -> PathBuf {
        self.0.join("project")
    }

    /// The user's repository, of which the agents of one department have clones.
    pub(crate) fn repository(&self) -> PathBuf {
        self.0.join("repository")
    }

    pub(crate) fn data(&self, node: &str) -> PathBuf {
        self.0.join(format!("data-{node}"))
    }

    pub(crate) fn log(&self, of: &str) -> PathBuf {
        self.0.join("logs").join(of)
    }

    /// A program, under a path of this run: so every process that it starts of itself can be told from another run's.
    pub(crate) fn program(&self, name: &str, path: &Path) -> Result<PathBuf, HarnessError> {
        let own = self.0.join("bin").join(name);
        if !own.exists() && fs::hard_link(path, &own).is_err() {
            fs::copy(path, &own).map_err(HarnessError::io(format!("a copy of {}", path.display())))?;
        }
        Ok(own)
    }
}
