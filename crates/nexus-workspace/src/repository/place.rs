//! Where git finds a repository from a project's directory.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use nexus_process::Captured;

use crate::error::WorkspaceError;
use crate::git::{Git, path_of};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// git's own directory of this checkout.
    pub(super) own: PathBuf,
    /// The directory that all the checkouts share.
    pub(super) common: PathBuf,
    /// The root of the checkout.
    pub(super) top: PathBuf,
    /// From there to the project.
    pub(super) prefix: PathBuf,
    /// `sha1` or `sha256`.
    pub(super) format: String,
}

const PATHS: [&str; 4] = ["--absolute-git-dir", "--git-common-dir", "--show-toplevel", "--show-prefix"];

/// True if neither the directory nor any around it has what git goes by, so that it needn't be asked: a `HEAD`, or a `.git` with
/// one in it, or one that leads elsewhere. Where one can't look, git says what is wrong.
pub(super) async fn is_nowhere(project: &Path) -> bool {
    let project = project.to_owned();
    let look = move || {
        let Ok(project) = project.canonicalize() else { return false };
        let is_missing =
            |path: PathBuf| path.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound);
        let is_empty =
            |git: PathBuf| git.symlink_metadata().is_ok_and(|git| git.is_dir()) && is_missing(git.join("HEAD"));
        project.ancestors().all(|around| {
            let git = around.join(".git");
            is_missing(around.join("HEAD")) && (is_missing(git.clone()) || is_empty(git))
        })
    };
    tokio::task::spawn_blocking(look).await.unwrap_or(false)
}

impl Place {
    /// The answer of git about it, or its refusal.
    pub(super) async fn ask(git: &Git, doing: &'static str) -> Result<Result<Self, Captured>, WorkspaceError> {
        let asked = ["rev-parse", "--path-format=absolute", "--show-object-format"];
        let captured = git.run(doing, asked.into_iter().chain(PATHS)).await?;
        if !captured.success() {
            return Ok(Err(captured));
        }
        let printed = captured.stdout.strip_suffix(b"\n").unwrap_or(&captured.stdout);
        let lines: Vec<&[u8]> = printed.split(|byte| *byte == b'\n').collect();
        let mut paths = Vec::new();
        if let [_, found @ ..] = lines.as_slice()
            && found.len() == PATHS.len()
        {
            paths.extend(found.iter().map(|line| path_of(line)));
        } else {
            // One of the paths has a line end in it.
            for path in PATHS {
                paths.push(git.path(doing, ["rev-parse", "--path-format=absolute", path]).await?);
            }
        }
        let [own, common, top, prefix] = <[PathBuf; 4]>::try_from(paths).unwrap_or_default();
        let format = lines.first().map(|line| String::from_utf8_lossy(line).into_owned()).unwrap_or_default();
        Ok(Ok(Self { own, common, top, prefix, format }))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_directory_is_nowhere_if_none_around_it_looks_like_a_repository() {
        let dir = tempfile::tempdir().unwrap();
        let made = |path: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        let plain = made("plain/below");
        made("plain/.git");
        for repository in ["checkout/.git", "bare"] {
            std::fs::write(made(repository).join("HEAD"), "ref: refs/heads/main\n").unwrap();
        }
        made("linked");
        std::os::unix::fs::symlink("nowhere", dir.path().join("linked/.git")).unwrap();
        std::os::unix::fs::symlink(made("checkout/src"), plain.join("link")).unwrap();

        assert!(is_nowhere(&plain).await);
        for place in ["checkout", "checkout/src", "bare", "linked", "plain/below/link", "missing"] {
            assert!(!is_nowhere(&dir.path().join(place)).await, "{place}");
        }
    }
}
