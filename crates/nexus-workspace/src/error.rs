//! Why a workspace could not be prepared, in words that say what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use nexus_process::{CaptureError, SpawnError, is_shortage, tells_of_shortage};

#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    #[error("the project {} does not exist or is not a directory: check the task's project_path", .0.display())]
    NoProject(PathBuf),
    #[error("a worktree or a clone needs git: {0}; or set workspace.mode to \"copy\"")]
    NoGit(#[source] SpawnError),
    #[error("git could not {doing} in {}: {said}", .place.display())]
    Git { doing: &'static str, place: PathBuf, said: String },
    #[error("git could not {doing} in {}: {source}", .place.display())]
    GitRun { doing: &'static str, place: PathBuf, source: CaptureError },
    #[error(
        "the project {} is too big to copy (over {files} files or {mib} MiB): set workspace.mode to \"in_place\", or make it a \
         git repository with a commit and use \"worktree\"", .project.display()
    )]
    TooBig { project: PathBuf, files: usize, mib: u64 },
    #[error("the system could not {doing} {}: {source}", .path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "another process has held the lock {} for a minute: a company whose task begins or ends there, or another `nexus \
         apply` or `nexus clean`; nothing was changed: try again when that is done", .0.display()
    )]
    Busy(PathBuf),
    #[error("{} has more than {files} files, which are not looked through", .root.display())]
    TooMany { root: PathBuf, files: usize },
    #[error("preparing the workspace was interrupted: the runtime shuts down")]
    ShutDown,
}

impl WorkspaceError {
    /// The machine has run out of something (room, open files), which passes: it can be tried again as it is.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        match self {
            Self::Io { source, .. } => is_shortage(source),
            Self::NoGit(error) | Self::GitRun { source: CaptureError::Spawn(error), .. } => error.is_shortage(),
            Self::Git { said, .. } => tells_of_shortage(said),
            _ => false,
        }
    }

    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}
