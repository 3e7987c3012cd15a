//! Copies of projects that are in no repository: made when the first attempt begins, removed when nothing in them has changed.

use std::io;
use std::path::{Path, PathBuf};

use nexus_core::department::WorkspaceMode;
use nexus_core::id::TaskId;
use tokio::task::spawn_blocking;

use crate::copy;
use crate::error::WorkspaceError;
use crate::prepared::{Place, Prepared};

/// Copies a project, unless an attempt before has left its copy.
pub(crate) async fn copied(
    task: TaskId,
    project: PathBuf,
    path: PathBuf,
    root: PathBuf,
) -> Result<Prepared, WorkspaceError> {
    let mut fingerprint = None;
    if path.symlink_metadata().is_err() {
        // A data directory within the project is no part of it, and would be copied into itself.
        let data = root.parent().filter(|data| data.starts_with(&project) && *data != project);
        let skip = data.map_or(root.clone(), Path::to_owned);
        let target = path.clone();
        let copied = spawn_blocking(move || copy::copy(&project, &target, &skip)).await;
        fingerprint = Some(copied.map_err(|_| WorkspaceError::ShutDown)??);
    }
    Ok(Prepared::plain(WorkspaceMode::Copy, path, task, Place::Copy(fingerprint)))
}

/// Removes a copy in which nothing has changed.
pub(crate) async fn removed_copy(path: &Path, fingerprint: Option<u64>) -> bool {
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
