//! Preparing a workspace by its mode, and deciding what becomes of it.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nexus_core::department::{Wanted, WorkspaceMode};
use nexus_core::event::WorkspaceReport;
use nexus_core::id::TaskId;
use tokio::sync::OwnedMutexGuard;
use tokio::task::spawn_blocking;

use crate::clone::PrivateClone;
use crate::copy;
use crate::error::WorkspaceError;
use crate::worktree::{Fate, Repository, Worktree};

/// The workspaces of one company: a directory for each task, named by its id.
#[derive(Debug)]
pub struct Workspaces {
    root: PathBuf,
    /// One lock per repository in use, as adding two worktrees at once fails on git's own locks. Entries go with their users.
    locks: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
}

/// A directory to work in. [`Workspaces::finish`] says what becomes of it; dropped, it is kept.
#[derive(Debug)]
pub struct Prepared {
    /// What was made: a project that is not in a git repository with a commit gets a copy instead of a worktree.
    pub mode: WorkspaceMode,
    /// Where to work: the project, or what stands for it.
    pub path: PathBuf,
    /// The branch of a worktree or a clone.
    pub branch: Option<String>,
    place: Place,
}

impl Prepared {
    /// All of what was made: `path`, or what holds it.
    #[must_use]
    pub fn root(&self) -> &Path {
        match &self.place {
            Place::Worktree(worktree) => &worktree.root,
            Place::Clone(clone) => &clone.branch.root,
            Place::Copy(_) | Place::Scratch | Place::Project => &self.path,
        }
    }

    /// What has to be readable beside it: of a worktree the repository, of a clone the objects that it borrows.
    #[must_use]
    pub fn readable(&self) -> &[PathBuf] {
        match &self.place {
            Place::Worktree(worktree) => std::slice::from_ref(&worktree.repository.common),
            Place::Clone(clone) => &clone.objects,
            Place::Copy(_) | Place::Scratch | Place::Project => &[],
        }
    }
}

#[derive(Debug)]
enum Place {
    Worktree(Box<Worktree>),
    Clone(Box<PrivateClone>),
    /// `None`: from an attempt before, and so perhaps changed.
    Copy(Option<u64>),
    Scratch,
    Project,
}

impl Workspaces {
    /// Workspaces in `root`, usually `workspaces` in the data directory; made when the first is needed.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root, locks: Mutex::default() }
    }

    /// Makes the directory for an attempt, or finds the one that an attempt before has left. Cut off, it leaves nothing that
    /// is in the way of the next call.
    pub async fn prepare(&self, wanted: Wanted, task: TaskId, project: &Path) -> Result<Prepared, WorkspaceError> {
        let mode = wanted.mode;
        let project = match project.canonicalize() {
            Ok(path) if path.is_dir() => path,
            _ => return Err(WorkspaceError::NoProject(project.to_owned())),
        };
        if mode == WorkspaceMode::InPlace {
            return Ok(Prepared { mode, path: project, branch: None, place: Place::Project });
        }
        std::fs::create_dir_all(&self.root).map_err(WorkspaceError::io("create", &self.root))?;
        let root = self.root.canonicalize().map_err(WorkspaceError::io("read", &self.root))?;
        let path = root.join(task.to_string());
        if mode == WorkspaceMode::Scratch {
            std::fs::create_dir_all(&path).map_err(WorkspaceError::io("create", &path))?;
            return Ok(Prepared { mode, path, branch: None, place: Place::Scratch });
        }
        if mode == WorkspaceMode::Worktree
            && let Some(prepared) = self.worktree(task, &project, &path).await?
        {
            return Ok(prepared);
        }
        if mode == WorkspaceMode::Clone
            && let Some(prepared) = self.private_clone(task, &project, &path).await?
        {
            return Ok(prepared);
        }
        if mode != WorkspaceMode::Copy && wanted.otherwise == WorkspaceMode::InPlace {
            return Ok(Prepared { mode: wanted.otherwise, path: project, branch: None, place: Place::Project });
        }
        copied(project, path, root).await
    }

    /// Removes a workspace that holds nothing new; anything else is kept. Never fails: what can't be removed is kept too.
    pub async fn finish(&self, prepared: Prepared) -> WorkspaceReport {
        let Prepared { mode, path, branch, place } = prepared;
        let kept = Fate { kept: true, branch_kept: true, changed_files: None };
        let fate = match place {
            Place::Worktree(worktree) => self.finish_worktree(&worktree).await,
            Place::Clone(clone) => self.finish_clone(&clone).await,
            Place::Copy(fingerprint) => Fate { kept: !removed_copy(&path, fingerprint).await, ..kept },
            // Fails on a directory that is not empty, and on a symbolic link.
            Place::Scratch => Fate { kept: std::fs::remove_dir(&path).is_err(), ..kept },
            Place::Project => kept,
        };
        WorkspaceReport {
            mode,
            path: path.to_string_lossy().into_owned(),
            branch: branch.filter(|_| fate.branch_kept),
            kept: fate.kept,
            changed_files: fate.changed_files,
        }
    }

    /// None when the project has no repository with a commit, or when an attempt before was given a copy.
    async fn worktree(&self, task: TaskId, project: &Path, path: &Path) -> Result<Option<Prepared>, WorkspaceError> {
        let Some(repository) = Repository::find(project).await? else { return Ok(None) };
        let _lock = self.lock(&repository.common).await;
        let Some(worktree) = repository.worktree(path, task).await? else { return Ok(None) };
        let path = worktree.project();
        // A directory that is not committed yet is missing in the worktree.
        std::fs::create_dir_all(&path).map_err(WorkspaceError::io("create", &path))?;
        let branch = Some(worktree.branch.clone());
        Ok(Some(Prepared { mode: WorkspaceMode::Worktree, path, branch, place: Place::Worktree(Box::new(worktree)) }))
    }

    /// None when the project has no repository with a commit, or when something else is there from an attempt before.
    async fn private_clone(
        &self,
        task: TaskId,
        project: &Path,
        path: &Path,
    ) -> Result<Option<Prepared>, WorkspaceError> {
        let Some(repository) = Repository::find(project).await? else { return Ok(None) };
        let prefix = repository.prefix.clone();
        let Some(clone) = repository.private_clone(path, task).await? else { return Ok(None) };
        let path = path.join(prefix);
        // A directory that is not committed yet is missing in the clone.
        std::fs::create_dir_all(&path).map_err(WorkspaceError::io("create", &path))?;
        let branch = Some(clone.branch.branch.clone());
        Ok(Some(Prepared { mode: WorkspaceMode::Clone, path, branch, place: Place::Clone(Box::new(clone)) }))
    }

    async fn finish_clone(&self, clone: &PrivateClone) -> Fate {
        let _lock = self.lock(&clone.branch.repository.common).await;
        clone.finish().await.unwrap_or_else(|error| {
            tracing::warn!(path = %clone.branch.root.display(), %error, "a workspace is kept");
            Fate { kept: true, branch_kept: true, changed_files: None }
        })
    }

    async fn finish_worktree(&self, worktree: &Worktree) -> Fate {
        let unknown = Fate { kept: true, branch_kept: true, changed_files: None };
        let warn = |error| tracing::warn!(path = %worktree.root.display(), %error, "a workspace is kept");
        let judged = match worktree.judge().await {
            Ok(judged) if !judged.kept => judged,
            Ok(judged) => return judged,
            Err(error) => {
                warn(error);
                return unknown;
            }
        };
        let _lock = self.lock(&worktree.repository.common).await;
        worktree.remove(judged).await.unwrap_or_else(|error| {
            warn(error);
            Fate { kept: worktree.root.exists(), ..unknown }
        })
    }

    async fn lock(&self, repository: &Path) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            // One that only this map holds is used by nobody.
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(locks.entry(repository.to_owned()).or_default())
        };
        lock.lock_owned().await
    }
}

async fn copied(project: PathBuf, path: PathBuf, root: PathBuf) -> Result<Prepared, WorkspaceError> {
    let mut fingerprint = None;
    if path.symlink_metadata().is_err() {
        // A data directory within the project is no part of it, and would be copied into itself.
        let data = root.parent().filter(|data| data.starts_with(&project) && *data != project);
        let skip = data.map_or(root.clone(), Path::to_owned);
        let target = path.clone();
        let copied = spawn_blocking(move || copy::copy(&project, &target, &skip)).await;
        fingerprint = Some(copied.map_err(|_| WorkspaceError::ShutDown)??);
    }
    Ok(Prepared { mode: WorkspaceMode::Copy, path, branch: None, place: Place::Copy(fingerprint) })
}

/// Removes a copy in which nothing has changed.
async fn removed_copy(path: &Path, fingerprint: Option<u64>) -> bool {
    let Some(fingerprint) = fingerprint else { return false };
    let directory = path.to_owned();
    let removed = spawn_blocking(move || -> io::Result<bool> {
        let unchanged = directory.symlink_metadata()?.is_dir() && copy::fingerprint(&directory)? == fingerprint;
        if unchanged {
            copy::remove(&directory)?;
        }
        Ok(unchanged)
    });
    match removed.await {
        Ok(Ok(removed)) => removed,
        Ok(Err(error)) => {
            tracing::warn!(path = %path.display(), %error, "a workspace is kept");
            false
        }
        Err(_) => false,
    }
}
