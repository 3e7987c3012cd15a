//! The user's checkout as it is: what in it is not committed, and the tree that it would be. Nothing of the user's is
//! written but objects: not the index, no ref, no file.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::WorkspaceError;
use crate::filters::Filters;
use crate::git::{Git, entries};
use crate::repository::Repository;

/// One path that differs between the last commit, the index and the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// From the root of the checkout. It ends with `/` where git names a directory, and no file in it.
    pub(crate) path: Vec<u8>,
    /// The file differs from the index.
    pub(crate) in_files: bool,
    /// A merge has left a conflict in it.
    pub(crate) is_conflict: bool,
}

impl Change {
    pub(crate) const fn is_directory(&self) -> bool {
        matches!(self.path.as_slice(), [.., b'/'])
    }

    pub(crate) fn name(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }
}

/// The way in which new files are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum New {
    /// A directory of nothing but new files is one entry.
    Brief,
    Each,
}

/// A checkout, without the filters that may lead to programs of others, unless they are asked for.
#[derive(Debug)]
pub(crate) struct Checkout {
    git: Git,
    top: PathBuf,
    /// A data directory within is no part of the project.
    skip: Option<PathBuf>,
    /// Filters that are switched off.
    off: Vec<String>,
}

impl Checkout {
    /// For what happens without the user: no filter is run but `git-lfs`.
    pub(crate) fn unattended(repository: &Repository, skip: &Path) -> Self {
        let settings = Filters::for_agents_files(&repository.settings).settings();
        let name = |(key, _): &(String, String)| Some(key.strip_prefix("filter.")?.strip_suffix(".clean")?.to_owned());
        let off = settings.iter().filter_map(name).collect();
        let within = skip.strip_prefix(&repository.top).ok().filter(|path| !path.as_os_str().is_empty());
        let skip = within.map(Path::to_owned);
        Self { git: repository.git().settings(&settings), top: repository.top.clone(), skip, off }
    }

    /// For a command of the user's, whose filters see the user's files as with `git add`.
    pub(crate) fn attended(repository: &Repository) -> Self {
        Self { git: repository.git(), top: repository.top.clone(), skip: None, off: Vec::new() }
    }

    /// The changes that are not committed. Submodules are not looked into: only that one is at another commit is seen.
    pub(crate) async fn changes(&self, new: New) -> Result<Vec<Change>, WorkspaceError> {
        let new = if new == New::Each { "--untracked-files=all" } else { "--untracked-files=normal" };
        let mut args = ["status", "--porcelain=v2", "-z", "--no-renames", "--ignore-submodules=dirty", new]
            .map(OsString::from)
            .to_vec();
        if let Some(skip) = &self.skip {
            let mut but = OsString::from(":(exclude,top,literal)");
            but.push(skip);
            args.extend(["--".into(), ":(top)".into(), but]);
        }
        let listed = self.git.list("look for uncommitted changes", args).await?;
        Ok(listed.iter().filter_map(|entry| read(entry)).collect())
    }

    /// The tree of the checkout with these changes, worked out in an index of our own at `index`, which is made anew from
    /// the user's.
    pub(crate) async fn tree(&self, changes: &[Change], index: &Path) -> Result<String, WorkspaceError> {
        let asked = ["rev-parse", "--path-format=absolute", "--git-path", "index"];
        let own = self.git.path("look for the index", asked).await?;
        match crate::index::copy(&own, index) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(WorkspaceError::io("copy", &own)(error));
            }
            _ => {}
        }
        let git = self.git.clone().index(index);
        let paths = changes.iter().filter(|change| change.in_files && !change.is_directory());
        self.add(&git, paths.map(|change| change.path.as_slice())).await?;
        // In a partial clone unchanged files may not be there: nobody has to fetch them for this.
        git.text("write the tree", ["-c", "core.splitIndex=false", "write-tree", "--missing-ok"]).await
    }

    /// Takes files as they are into the index of `git`.
    pub(crate) async fn add(&self, git: &Git, paths: impl Iterator<Item = &[u8]>) -> Result<(), WorkspaceError> {
        let input: Vec<u8> = paths.flat_map(|path| path.iter().copied().chain([0])).collect();
        if input.is_empty() {
            return Ok(());
        }
        let args = ["-c", "core.safecrlf=false", "-c", "core.splitIndex=false", "update-index"];
        let args = args.into_iter().chain(["--add", "--remove", "--replace", "-z", "--stdin"]);
        git.fed("add the files", args, input).await.map(drop)
    }

    /// Of these files, the first that has to pass a filter which is not run, and that filter.
    pub(crate) async fn filtered(&self, changes: &[Change]) -> Result<Option<(String, String)>, WorkspaceError> {
        let paths = changes.iter().filter(|change| change.in_files && !change.is_directory());
        let input: Vec<u8> = paths.flat_map(|change| change.path.iter().copied().chain([0])).collect();
        if self.off.is_empty() || input.is_empty() {
            return Ok(None);
        }
        let args = ["check-attr", "-z", "--stdin", "filter"];
        let found = self.git.feed("look for filters", args, input).await?;
        if !found.success() {
            return Err(self.git.refused("look for filters", &found));
        }
        let named = entries(&found.stdout).chunks_exact(3).find_map(|entry| {
            let [path, filter] = [0, 2].map(|at| String::from_utf8_lossy(&entry[at]).into_owned());
            // A deleted file passes none.
            let is_there = self.top.join(&path).symlink_metadata().is_ok();
            (is_there && self.off.contains(&filter)).then_some((path, filter))
        });
        Ok(named)
    }

    /// The size of the changed files, in bytes.
    pub(crate) fn size(&self, changes: &[Change]) -> u64 {
        let size = |change: &Change| self.top.join(change.name()).symlink_metadata().map_or(0, |file| file.len());
        changes.iter().filter(|change| change.in_files).map(size).fold(0, u64::saturating_add)
    }
}

/// Reads an entry of `git status --porcelain=v2`, whose path comes last.
fn read(entry: &[u8]) -> Option<Change> {
    let after = |fields: usize| entry.splitn(fields + 1, |byte| *byte == b' ').nth(fields).map(<[u8]>::to_vec);
    let (path, in_files) = match entry.first()? {
        b'1' => (after(8)?, entry.get(3)? != &b'.'),
        b'u' => (after(10)?, true),
        b'?' => (after(1)?, true),
        _ => return None,
    };
    Some(Change { path, in_files, is_conflict: entry[0] == b'u' })
}

#[cfg(test)]
mod tests {
    use super::{Change, read};

    #[test]
    fn entries_of_a_status() {
        let change = |path: &str, in_files, is_conflict| Some(Change { path: path.into(), in_files, is_conflict });
        let id = "0123456789012345678901234567890123456789";
        let table = [
            (format!("1 .M N... 100644 100644 100644 {id} {id} a b.txt"), change("a b.txt", true, false)),
            (format!("1 M. N... 100644 100644 100644 {id} {id} a"), change("a", false, false)),
            (format!("1 .M SC.. 160000 160000 160000 {id} {id} lib"), change("lib", true, false)),
            (format!("u UU N... 100644 100644 100644 100644 {id} {id} {id} a b"), change("a b", true, true)),
            ("? new file".to_owned(), change("new file", true, false)),
            ("? new/".to_owned(), change("new/", true, false)),
            ("# branch.oid x".to_owned(), None),
        ];
        for (entry, expected) in table {
            assert_eq!(read(entry.as_bytes()), expected, "{entry}");
        }
    }
}
