//! Repositories without files: bare ones, and the top of a layout with a bare repository and checkouts below it.

use std::path::{Path, PathBuf};

use crate::error::WorkspaceError;
use crate::git::{Git, path_of};

/// The error for a project in a bare repository; none when that isn't what is wrong.
pub(super) async fn explained(project: &Path) -> Option<WorkspaceError> {
    let git = Git::at(project);
    let asked = ["-c", "safe.bareRepository=all", "rev-parse", "--absolute-git-dir"];
    let own = git.path("look for the repository", asked).await.ok()?;
    // Named by its path it is looked at even though it is bare.
    let git = Git::at(project).env("GIT_DIR", &own);
    let is_bare = git.text("look at the repository", ["rev-parse", "--is-bare-repository"]).await.ok()? == "true";
    if !is_bare {
        return None;
    }
    let listed = git.list("list the worktrees", ["worktree", "list", "--porcelain", "-z"]).await.unwrap_or_default();
    let paths = listed.iter().filter_map(|line| line.strip_prefix(b"worktree ")).map(path_of);
    let checkouts: Vec<PathBuf> = paths.filter(|path| path.join(".git").is_file()).collect();
    Some(WorkspaceError::Bare { project: project.to_owned(), checkouts })
}
