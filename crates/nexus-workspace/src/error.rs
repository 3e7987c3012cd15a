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
    #[error(
        "git could not {doing} in {}: the lock file {} is there. Another git is at work, or one was killed and left it. If no \
         git is running there, remove the file and try again", .place.display(), .lock.display()
    )]
    Locked { doing: &'static str, place: PathBuf, lock: PathBuf },
    #[error(
        "git could not {doing} in {}: the repository belongs to another user. If you trust it, run: {}",
        .place.display(), ownership(.paths)
    )]
    Ownership { doing: &'static str, place: PathBuf, paths: Vec<PathBuf> },
    #[error(
        "the project {} is in a bare repository, which has no files to work on: {}", .project.display(), instead(.checkouts)
    )]
    Bare { project: PathBuf, checkouts: Vec<PathBuf> },
    #[error("git is not run for the project {}: {said}", .project.display())]
    Astray { project: PathBuf, said: String },
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
    #[error(
        "its workspace is in use: an attempt of the task runs in it, or somebody has it open with `nexus shell`. Wait for that \
         to end, and try again"
    )]
    InUse,
    #[error("its files can't be shown here as one directory: {0}")]
    NoLayers(String),
    #[error("it can't be opened to be read only here: {0}")]
    NoReading(String),
    #[error("{} has more than {files} files, which are not looked through", .root.display())]
    TooMany { root: PathBuf, files: usize },
    #[error(
        "the task can't start from the uncommitted changes in {}: {why}. Commit them, or leave include_uncommitted out",
        .top.display()
    )]
    Uncommitted { top: PathBuf, why: String },
    #[error("preparing the workspace was interrupted: the runtime shuts down")]
    ShutDown,
}

/// Where to work instead of in a bare repository.
fn instead(found: &[PathBuf]) -> String {
    if found.is_empty() {
        return "make a checkout with `git worktree add ../checkout`, and name that as the project".to_owned();
    }
    let named = found.iter().take(5).map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    format!("name one of its checkouts as the project instead, such as {named}")
}

/// The commands that tell git to trust each of these.
fn ownership(paths: &[PathBuf]) -> String {
    let quoted = |path: &PathBuf| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    let commands = paths.iter().map(|path| format!("git config --global --add safe.directory {}", quoted(path)));
    commands.collect::<Vec<_>>().join("; ")
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
