//! A checkout that lies over another: only the files that differ, and marks where others are gone.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Shelf;
use crate::error::WorkspaceError;
use crate::index::{self, Difference, note};
use crate::paths::{bytes, lines};
use crate::survey::{TREE, tree_entries};

impl Shelf<'_> {
    /// Only what differs from another, over that one. False where that can't be.
    pub(super) async fn over(
        &self,
        partial: &Path,
        other: &str,
        commit: &str,
        changed: &[Difference],
    ) -> Result<bool, WorkspaceError> {
        // They decide how other files are checked out.
        if changed.iter().any(|change| change.path.ends_with(".gitattributes")) {
            return Ok(false);
        }
        let tree = partial.join("tree");
        self.begin(&tree)?;
        let from = self.spot.index(&self.place(other).join("tree"));
        index::copy(&from, &self.spot.index(&tree)).map_err(WorkspaceError::io("copy", &from))?;
        let git = self.at(partial);
        let entries = changed.iter().map(|change| (change.to.0.as_str(), change.to.1.as_str(), change.path.as_path()));
        note(&git, entries).await?;
        let there = changed.iter().filter(|change| change.is_there() && change.to.0 != "160000");
        let there = lines(there.map(|change| bytes(&change.path)));
        if !there.is_empty() {
            let args = ["checkout-index", "--force", "-u", "--quiet", "-z", "--stdin"];
            git.fed("check out the files", args, there).await?;
        }
        let gone: Vec<&Path> =
            changed.iter().filter(|change| !change.is_there()).map(|change| change.path.as_path()).collect();
        let tree = tree.join(&self.spot.path);
        for path in self.topmost_gone(commit, &gone).await? {
            if tree.join(&path).symlink_metadata().is_ok() {
                continue;
            }
            let parent = tree.join(&path).parent().map_or(Ok(()), fs::create_dir_all);
            if parent.and_then(|()| whiteout(&tree.join(&path))).is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The paths to be hidden of the other checkout: directories in which nothing is left, as a whole.
    async fn topmost_gone(&self, commit: &str, gone: &[&Path]) -> Result<HashSet<PathBuf>, WorkspaceError> {
        let parents: HashSet<PathBuf> = gone
            .iter()
            .flat_map(|path| path.ancestors().skip(1))
            .filter(|path| !path.as_os_str().is_empty())
            .map(Path::to_owned)
            .collect();
        let parents: Vec<PathBuf> = parents.into_iter().collect();
        let known = tree_entries(&self.git, commit, &parents).await?;
        let topmost = |path: &Path| {
            let mut topmost = path.to_owned();
            for parent in path.ancestors().skip(1).take_while(|parent| !parent.as_os_str().is_empty()) {
                match known.get(parent) {
                    // A link or a file that is there now hides all that was below. Nothing is to be made beyond a link.
                    Some((mode, _)) if mode != TREE => return None,
                    Some(_) => break,
                    None => topmost = parent.to_owned(),
                }
            }
            Some(topmost)
        };
        Ok(gone.iter().filter_map(|path| topmost(path)).collect())
    }
}

/// Marks a name as gone in a layer.
#[cfg(target_os = "linux")]
fn whiteout(path: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    Ok(mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), 0)?)
}

#[cfg(not(target_os = "linux"))]
fn whiteout(_: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
