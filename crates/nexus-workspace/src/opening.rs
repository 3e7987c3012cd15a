//! A workspace that was kept, opened for a person.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nexus_core::id::TaskId;
use nexus_process::Overlay;

use crate::branch::Branch;
use crate::clone::PrivateClone;
use crate::error::WorkspaceError;
use crate::layers::Layers;
use crate::plain::is_directory;
use crate::repository::Repository;
use crate::workspaces::Workspaces;

/// All that a person needs to work in a task's workspace. No attempt of the task begins in its layers while the claim is held.
#[derive(Debug)]
pub struct Opened {
    /// The project within the workspace.
    pub path: PathBuf,
    /// The overlay that has to be mounted for it.
    pub overlay: Option<Overlay>,
    /// Settings for git there, which beat those that the agent has left.
    pub settings: Vec<(OsString, OsString)>,
    /// Notes that the person should know before.
    pub notes: Vec<String>,
    /// The lock of the layers, for as long as the file is open somewhere.
    pub claim: Option<File>,
    clone: Option<Box<PrivateClone>>,
}

/// A workspace that is there.
struct Found {
    root: PathBuf,
    layers: Layers,
    /// From the workspace's top to the project.
    prefix: PathBuf,
    clone: Option<PrivateClone>,
}

impl Workspaces {
    /// Opens a task's workspace. None where there is none. With `read_only` nothing in it can be changed, and an attempt may run
    /// in it.
    pub async fn open(&self, task: TaskId, project: &Path, read_only: bool) -> Result<Option<Opened>, WorkspaceError> {
        let Some(found) = self.find(task, project).await? else { return Ok(None) };
        let Found { root, layers, prefix, clone } = found;
        let is_layered = layers.is_layered();
        if is_layered {
            self.overlays().as_ref().map_err(|why| WorkspaceError::NoLayers(why.clone()))?;
        }
        let claim = if read_only { None } else { layers.claim()? };
        if let Some(clone) = clone.as_ref().filter(|_| is_layered && !read_only) {
            clone.again(true).await?;
        }
        let overlay = layers.overlay(&self.checkouts, &root);
        if overlay.as_ref().is_some_and(|overlay| !overlay.lower.iter().all(|layer| is_directory(layer))) {
            return Err(WorkspaceError::NoLayers("the checkout that its files lie over is gone".to_owned()));
        }
        let places = overlay.as_ref().map_or_else(|| vec![root.clone()], layers_of);
        let path = if has(&places, &prefix) { joined(&root, &prefix) } else { root.clone() };
        let overlay = match overlay {
            None if read_only => Some(self.for_reading(&root)?),
            overlay => overlay,
        };
        let guarded = match &clone {
            Some(clone) => clone.guarded().await?,
            None => Default::default(),
        };
        let clone = clone.filter(|_| !read_only).map(Box::new);
        Ok(Some(Opened { path, overlay, settings: guarded.settings, notes: guarded.notes, claim, clone }))
    }

    /// After a person has worked there: brings their commits back. Returns the branch, if it has gone on, or why they can't be
    /// brought back.
    pub async fn close(&self, opened: Opened) -> Result<Result<Option<String>, String>, WorkspaceError> {
        let Some(mut clone) = opened.clone else { return Ok(Ok(None)) };
        let _lock = self.locks.lock_or_refuse(&clone.branch.repository.common).await?;
        clone.bring_back(&self.bases, &self.locks).await
    }

    /// Makes a plain directory of a task's workspace, if it isn't one; returns where the project is in it. None where there is no
    /// workspace.
    pub async fn plain(&self, task: TaskId, project: &Path) -> Result<Option<PathBuf>, WorkspaceError> {
        let Some(found) = self.find(task, project).await? else { return Ok(None) };
        let Found { root, layers, prefix, clone } = found;
        if layers.is_layered() {
            let Some(clone) = clone else { return Err(WorkspaceError::NoProject(project.to_owned())) };
            let _claim = layers.claim()?;
            clone.again(false).await?;
        }
        let path = if has(std::slice::from_ref(&root), &prefix) { joined(&root, &prefix) } else { root };
        Ok(Some(path))
    }

    async fn find(&self, task: TaskId, project: &Path) -> Result<Option<Found>, WorkspaceError> {
        let (root, layers) = (self.place_of(task), Layers::of(&self.root, task));
        let is_layered = layers.is_layered();
        if !is_layered && !is_directory(&root) {
            return Ok(None);
        }
        // Without its project the files are all there is.
        let repository = match project.is_dir() {
            true => Repository::find_for(project, task).await.ok().flatten(),
            false => None,
        };
        let is_clone = is_layered || is_directory(&root.join(".git"));
        let mut found = Found { root, layers, prefix: PathBuf::new(), clone: None };
        let Some(repository) = repository else { return Ok(Some(found)) };
        if is_clone || repository.own_of(&found.root).is_some() {
            found.prefix.clone_from(&repository.prefix);
        }
        if is_clone {
            let base = self.bases.get(task).unwrap_or_else(|| repository.head.clone());
            let branch = Branch::of(repository, task, base).await?;
            found.clone = Some(self.clone_of(task, branch, &found.root));
        }
        Ok(Some(found))
    }

    /// A plain directory as the only layer of an overlay that is to be mounted read-only: nothing in it can be changed.
    pub fn for_reading(&self, root: &Path) -> Result<Overlay, WorkspaceError> {
        self.overlays().as_ref().map_err(|why| WorkspaceError::NoReading(why.clone()))?;
        let empty = self.root.with_file_name("layers").join("empty");
        fs::create_dir_all(&empty).map_err(WorkspaceError::io("create", &empty))?;
        Ok(Overlay { lower: vec![root.to_owned()], upper: empty.clone(), work: empty, target: root.to_owned() })
    }
}

fn layers_of(overlay: &Overlay) -> Vec<PathBuf> {
    std::iter::once(&overlay.upper).chain(&overlay.lower).cloned().collect()
}

/// True if the directory `below` is seen in these layers, the topmost first. No link that an agent has put there is followed.
fn has(layers: &[PathBuf], below: &Path) -> bool {
    let mut path = PathBuf::new();
    below.components().all(|part| {
        path.push(part);
        let found = layers.iter().find_map(|layer| layer.join(&path).symlink_metadata().ok());
        found.is_some_and(|found| found.is_dir())
    })
}

/// Without a slash at the end.
fn joined(root: &Path, below: &Path) -> PathBuf {
    root.join(below).components().collect()
}
