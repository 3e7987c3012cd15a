//! Indices of ours: kept from when a checkout was made, and copied for each comparison.

use std::fs::{self, File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::WorkspaceError;
use crate::git::Git;
use crate::paths::{bytes, from_bytes};

/// An index that is kept, and the copy that is worked on.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    pub(crate) kept: PathBuf,
    working: PathBuf,
    /// The commit that the kept one is of.
    pub(crate) commit: String,
}

impl Index {
    pub(crate) fn new(kept: &Path, working: &Path, commit: &str) -> Self {
        Self { kept: kept.to_owned(), working: working.to_owned(), commit: commit.to_owned() }
    }

    /// Copies it anew, and brings the copy to `commit`. `git` works on the copy.
    pub(crate) async fn begin(&self, git: &Git, commit: &str) -> Result<(), WorkspaceError> {
        copy(&self.kept, &self.working).map_err(WorkspaceError::io("copy", &self.kept))?;
        let changed = difference(git, &self.commit, commit).await?;
        if changed.is_empty() {
            return Ok(());
        }
        let entries = changed.iter().map(|change| (change.to.0.as_str(), change.to.1.as_str(), change.path.as_path()));
        note(git, entries).await
    }

    /// git with the copy, which is made and brought to `commit` unless that was done before.
    pub(crate) async fn opened(&self, git: &Git, commit: &str) -> Result<Git, WorkspaceError> {
        let git = git.clone().index(&self.working);
        if self.working.symlink_metadata().is_err() {
            self.begin(&git, commit).await?;
        }
        Ok(git)
    }

    pub(crate) fn forget(&self) {
        let _ = fs::remove_file(&self.working);
    }
}

/// One path of two commits that differ there. What isn't there has the mode `000000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) from: (String, String),
    pub(crate) to: (String, String),
    pub(crate) path: PathBuf,
}

impl Difference {
    pub(crate) fn was_there(&self) -> bool {
        self.from.0 != NOTHING
    }

    pub(crate) fn is_there(&self) -> bool {
        self.to.0 != NOTHING
    }
}

pub(crate) const NOTHING: &str = "000000";

/// Puts entries into the index that `git` works on: mode, id, path. The mode `000000` takes one out.
pub(crate) async fn note<'a>(
    git: &Git,
    entries: impl Iterator<Item = (&'a str, &'a str, &'a Path)>,
) -> Result<(), WorkspaceError> {
    let mut info = Vec::new();
    for (mode, id, path) in entries {
        let mode = if mode == NOTHING { "0" } else { mode };
        info.extend(format!("{mode} {id}\t").into_bytes());
        info.extend_from_slice(&bytes(path));
        info.push(0);
    }
    if info.is_empty() {
        return Ok(());
    }
    git.fed("note the files", ["update-index", "--replace", "-z", "--index-info"], info).await.map(drop)
}

/// The differences between two commits.
pub(crate) async fn difference(git: &Git, from: &str, to: &str) -> Result<Vec<Difference>, WorkspaceError> {
    if from == to {
        return Ok(Vec::new());
    }
    let args = ["diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--ignore-submodules=none", from, to];
    let printed = git.list("compare the commits", args).await?;
    // `:<mode> <mode> <id> <id> <letter>`, then the path.
    let read = |pair: &[Vec<u8>]| {
        let head = String::from_utf8_lossy(&pair[0]).into_owned();
        let mut parts = head.strip_prefix(':')?.split(' ').map(str::to_owned);
        let (one, two, first, second) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        Some(Difference { from: (one, first), to: (two, second), path: from_bytes(&pair[1]) })
    };
    Ok(printed.chunks_exact(2).filter_map(read).collect())
}

/// Copies a file with its time: by that git knows which files may have changed right after it was written.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    let modified = fs::metadata(from)?.modified()?;
    File::options().write(true).open(to)?.set_times(FileTimes::new().set_modified(modified))
}
