//! A workspace that is ready: where it is, what it is made of, and what an attempt in it needs to see.

use std::fs::File;
use std::path::{Path, PathBuf};

use nexus_core::department::WorkspaceMode;
use nexus_core::id::TaskId;
use nexus_core::uncommitted::Uncommitted;
use nexus_process::Overlay;

use crate::clone::PrivateClone;
use crate::error::WorkspaceError;
use crate::uncommitted::Looking;
use crate::warm::Warmth;
use crate::worktree::Worktree;

/// A directory to work in. [`Workspaces::finish`] says what becomes of it; dropped, it is kept.
#[derive(Debug)]
pub struct Prepared {
    /// The mode of what was made: a project that is not in a git repository with a commit gets a copy instead of a worktree.
    pub mode: WorkspaceMode,
    /// Where to work: the project, or what stands for it.
    pub path: PathBuf,
    /// The branch of a worktree or a clone.
    pub branch: Option<String>,
    /// The notes on it for whoever follows the attempt.
    pub notes: Vec<String>,
    pub(crate) task: TaskId,
    pub(crate) place: Place,
    pub(crate) looking: Looking,
    /// Nobody else mounts its layers to change them.
    _claim: Option<File>,
}

impl Prepared {
    /// Not on a branch: nothing of the project is left out.
    pub(crate) fn plain(mode: WorkspaceMode, path: PathBuf, task: TaskId, place: Place) -> Self {
        Self { mode, path, branch: None, notes: Vec::new(), task, place, looking: Looking::known(None), _claim: None }
    }

    /// The same, on a branch.
    pub(crate) fn on(self, branch: &str, notes: Vec<String>, looking: Looking, claim: Option<File>) -> Self {
        Self { branch: Some(branch.to_owned()), notes, looking, _claim: claim, ..self }
    }

    /// The uncommitted changes of the project's checkout, of which a clone or a worktree has none, or a commit. None where
    /// there are none, or they could not be looked at within two seconds.
    pub async fn uncommitted(&self) -> Option<Uncommitted> {
        self.looking.found().await
    }

    /// All of what was made: `path`, or what holds it.
    #[must_use]
    pub fn root(&self) -> &Path {
        match &self.place {
            Place::Worktree(worktree) => &worktree.root,
            Place::Clone(clone) => &clone.root,
            Place::Copy(_) | Place::Scratch | Place::Project => &self.path,
        }
    }

    /// The overlay that has to be mounted for the processes that work in it: others see an empty directory there.
    #[must_use]
    pub fn overlay(&self) -> Option<Overlay> {
        match &self.place {
            Place::Clone(clone) => clone.overlay(),
            Place::Worktree(_) | Place::Copy(_) | Place::Scratch | Place::Project => None,
        }
    }

    /// Says that an agent is about to be started in it: from now on nothing of it is as it was made.
    ///
    /// # Errors
    /// When that can't be noted.
    pub fn begin(&self) -> Result<(), WorkspaceError> {
        match &self.place {
            Place::Clone(clone) if clone.layers.is_layered() => {
                clone.layers.begin().map_err(WorkspaceError::io("write", clone.layers.root()))
            }
            Place::Clone(_) | Place::Worktree(_) | Place::Copy(_) | Place::Scratch | Place::Project => Ok(()),
        }
    }

    /// Looks for the warm layer that `recipe` makes, where the workspace lies over a prepared checkout, and puts it over that.
    /// Waits while somebody else makes it.
    ///
    /// # Errors
    /// When it can't be put there, or made.
    pub async fn warm(&self, recipe: &[String]) -> Result<Warmth, WorkspaceError> {
        match &self.place {
            Place::Clone(clone) => clone.warm(recipe).await,
            Place::Worktree(_) | Place::Copy(_) | Place::Scratch | Place::Project => Ok(Warmth::Never),
        }
    }

    /// The paths that have to be readable beside it: of a worktree the repository, of a clone the objects that it borrows.
    #[must_use]
    pub fn readable(&self) -> &[PathBuf] {
        match &self.place {
            Place::Worktree(worktree) => std::slice::from_ref(&worktree.branch.repository.common),
            Place::Clone(clone) => &clone.objects,
            Place::Copy(_) | Place::Scratch | Place::Project => &[],
        }
    }
}

/// The directory, by its kind.
#[derive(Debug)]
pub(crate) enum Place {
    Worktree(Box<Worktree>),
    Clone(Box<PrivateClone>),
    /// `None`: from an attempt before, and so perhaps changed.
    Copy(Option<u64>),
    Scratch,
    Project,
}
