//! The changes of an attempt over a checkout, told by its upper layer alone: it costs by what was changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::error::WorkspaceError;
use crate::files::{Changes, Files, take_over};
use crate::index::{Difference, Index, NOTHING, difference, note};
use crate::paths::{bytes, from_bytes, lines};
use crate::survey::{Entries, SUBMODULE, Survey, Surveyor, TREE, Tracked, tree_below, tree_entries};

impl Files {
    pub(crate) async fn changes_of_layer(
        &self,
        index: &Index,
        warm: Option<&Path>,
        commit: &str,
    ) -> Result<Changes, WorkspaceError> {
        index.forget();
        let none = BTreeSet::new();
        let tracked = Tracked::Commit(commit);
        let since = difference(&self.git, &index.commit, commit).await?;
        // What the index knows is not ignored: where something was taken out, it has to be the commit's.
        let git = match since.iter().any(|change| !change.is_there()) {
            true => index.opened(&self.git, commit).await?,
            false => self.git.clone(),
        };
        let surveyor = Surveyor { root: &self.root, git: &git, tracked, submodules: &none };
        let mut survey = surveyor.survey().await?;
        let mut changes = Changes::default();
        self.hidden(&survey, &Layer::of(&survey), commit, &mut changes).await?;
        let rules: Vec<&Path> = changes.gone.iter().map(PathBuf::as_path).filter(|path| is_a_rule(path)).collect();
        let moved = self.rules_of_moved(&survey, index).await?;
        if !rules.is_empty() || !moved.is_empty() {
            let opened = index.opened(&self.git, commit).await?;
            let nothing = "0".repeat(commit.len());
            note(&opened, rules.into_iter().map(|path| (NOTHING, nothing.as_str(), path))).await?;
            note(&opened, moved.iter().map(|(mode, id, path)| (mode.as_str(), id.as_str(), path.as_path()))).await?;
            let args = ["update-index", "--skip-worktree", "-z", "--stdin"];
            opened.fed("look at the files", args, lines(moved.iter().map(|(_, _, path)| bytes(path)))).await?;
            let tracked = Tracked::Commit(commit);
            survey = Surveyor { root: &self.root, git: &opened, tracked, submodules: &none }.survey().await?;
        }
        let layer = Layer::of(&survey);
        let borrowed = self.moved(&survey, &layer, index, commit, &mut changes).await?;
        let ignored = surveyor.ignored(borrowed.iter()).await?;
        changes.borrowed = borrowed.into_iter().filter(|path| !ignored.contains(path)).collect();
        changes.gone.retain(|path| !changes.borrowed.iter().any(|directory| path.starts_with(directory)));
        let shown = self.shown(&surveyor, &layer, warm, &since, &mut changes).await?;
        changes.stored.extend(shown);
        changes.there = self
            .differing(index, commit, std::mem::take(&mut survey.present), &survey.entries, &mut changes.withheld)
            .await?;
        let withheld = std::mem::take(&mut changes.withheld);
        self.withhold(&mut changes, survey.new).await?;
        changes.withheld.extend(withheld);
        changes.nested = survey.nested;
        changes.unread = survey.unread;
        changes.ignored = survey.ignored;
        Ok(changes)
    }

    /// The files that say what git ignores, of those that a renamed directory has brought along.
    async fn rules_of_moved(
        &self,
        survey: &Survey,
        index: &Index,
    ) -> Result<Vec<(String, String, PathBuf)>, WorkspaceError> {
        let mut rules = Vec::new();
        for (to, from) in &survey.moved {
            let below = tree_below(&self.git, &index.commit, from).await?;
            rules.extend(below.into_iter().filter(|(path, _)| path.ends_with(".gitignore")).filter_map(
                |(path, (mode, id))| {
                    let path = to.join(path.strip_prefix(from).ok()?);
                    self.root.join(&path).symlink_metadata().is_err().then_some((mode, id, path))
                },
            ));
        }
        Ok(rules)
    }

    /// Files of the commit that the layer hides.
    async fn hidden(
        &self,
        survey: &Survey,
        layer: &Layer,
        commit: &str,
        changes: &mut Changes,
    ) -> Result<(), WorkspaceError> {
        for (path, (mode, _)) in tree_entries(&self.git, commit, &survey.gone).await? {
            if mode == TREE {
                changes.gone.extend(tree_below(&self.git, commit, &path).await?.into_keys());
            } else {
                changes.gone.push(path);
            }
        }
        for directory in survey.opaque.iter().chain(survey.moved.iter().map(|(to, _)| to)) {
            let below = tree_below(&self.git, commit, directory).await?.into_keys();
            changes.gone.extend(below.filter(|path| !layer.has(path)));
        }
        changes.gone.sort();
        changes.gone.dedup();
        Ok(())
    }

    /// Files that have come along with a directory that was renamed, and are as the checkout has them. Returns the
    /// directories of which the checkout has none.
    async fn moved(
        &self,
        survey: &Survey,
        layer: &Layer,
        index: &Index,
        commit: &str,
        changes: &mut Changes,
    ) -> Result<Vec<PathBuf>, WorkspaceError> {
        let mut borrowed = Vec::new();
        for (to, from) in &survey.moved {
            let known = tree_below(&self.git, commit, to).await?;
            let below = tree_below(&self.git, &index.commit, from).await?;
            if below.is_empty() {
                borrowed.push(to.clone());
            }
            for (path, (mode, id)) in below {
                let Ok(below) = path.strip_prefix(from) else { continue };
                let path = to.join(below);
                if layer.has(&path) || layer.hides(&path) {
                    continue;
                }
                changes.gone.retain(|gone| *gone != path);
                if known.get(&path) != Some(&(mode.clone(), id.clone())) {
                    changes.stored.push((mode, id, path));
                }
            }
        }
        Ok(borrowed)
    }

    /// Files that the commit has otherwise than the checkout, and that are seen as the checkout has them: what was committed
    /// without being there.
    async fn shown(
        &self,
        surveyor: &Surveyor<'_>,
        layer: &Layer,
        warm: Option<&Path>,
        since: &[Difference],
        changes: &mut Changes,
    ) -> Result<Vec<(String, String, PathBuf)>, WorkspaceError> {
        // Which commit a submodule is at is not told by files.
        let of_files = since.iter().filter(|change| change.from.0 != SUBMODULE && change.to.0 != SUBMODULE);
        let untouched = of_files.filter(|change| !layer.has(&change.path) && !layer.covers(&change.path));
        let (was_there, added): (Vec<_>, Vec<_>) = untouched.partition(|change| change.was_there());
        // What was committed of a warm layer is still seen in that.
        let is_warm = |path: &Path| warm.is_some_and(|warm| warm.join(path).symlink_metadata().is_ok());
        changes.gone.extend(added.into_iter().map(|change| change.path.clone()).filter(|path| !is_warm(path)));
        let taken_out: Vec<PathBuf> =
            was_there.iter().filter(|change| !change.is_there()).map(|change| change.path.clone()).collect();
        let ignored = surveyor.ignored(taken_out.iter()).await?;
        let shown = was_there.into_iter().filter(|change| !ignored.contains(&change.path));
        Ok(shown.map(|change| (change.from.0.clone(), change.from.1.clone(), change.path.clone())).collect())
    }

    /// Which of the files are other than the commit has them. Most are not, and that is seen by their contents alone.
    async fn differing(
        &self,
        index: &Index,
        commit: &str,
        present: Vec<PathBuf>,
        known: &Entries,
        withheld: &mut Vec<(PathBuf, String)>,
    ) -> Result<Vec<PathBuf>, WorkspaceError> {
        let (plain, odd): (Vec<PathBuf>, Vec<PathBuf>) =
            present.into_iter().partition(|path| self.is_plain(path, known));
        let mut unsure = odd;
        if !plain.is_empty() {
            let mut input = Vec::new();
            for path in &plain {
                input.extend_from_slice(&bytes(path));
                input.push(b'\n');
            }
            let args = ["hash-object", "--no-filters", "--stdin-paths"];
            let ids = self.git.fed("read the files", args, input).await?;
            for (path, id) in plain.into_iter().zip(ids.lines()) {
                if known.get(&path).is_none_or(|(_, known)| known != id) {
                    unsure.push(path);
                }
            }
        }
        if unsure.is_empty() {
            return Ok(unsure);
        }
        let mut changes = Changes { there: unsure, ..Changes::default() };
        self.withhold(&mut changes, Vec::new()).await?;
        withheld.append(&mut changes.withheld);
        let candidates = changes.there;
        let git = index.opened(&self.git, commit).await?;
        self.unskip(&git, &candidates).await?;
        take_over(&git, &candidates).await?;
        let args = ["diff-index", "--cached", "--name-only", "-z", "--no-renames", "--ignore-submodules=all", commit];
        let differ = git.list("compare the files", args).await?;
        let differ: BTreeSet<PathBuf> = differ.iter().map(|path| from_bytes(path)).collect();
        Ok(candidates.into_iter().filter(|path| differ.contains(path)).collect())
    }

    /// A regular file of the mode that the commit says, whose name git reads as it is from a line.
    fn is_plain(&self, path: &Path, known: &Entries) -> bool {
        let Ok(metadata) = self.root.join(path).symlink_metadata() else { return false };
        let mode = if self.medium.has_modes && is_executable(&metadata) { "100755" } else { "100644" };
        let fits = known
            .get(path)
            .is_some_and(|(known, _)| known == mode || !self.medium.has_modes && known.starts_with("100"));
        metadata.is_file() && fits && is_a_line(&bytes(path))
    }

    /// The kept index marks some files as not to be looked for: of these an agent may have made its own.
    async fn unskip(&self, git: &crate::git::Git, paths: &[PathBuf]) -> Result<(), WorkspaceError> {
        let marked: Vec<_> = paths.iter().filter(|path| path.ends_with(".gitignore")).collect();
        if marked.is_empty() {
            return Ok(());
        }
        let args = ["update-index", "--no-skip-worktree", "-z", "--stdin"];
        git.fed("look at the files", args, lines(marked.into_iter().map(|path| bytes(path)))).await.map(drop)
    }
}

/// True for a file that tells git which files are ignored, or how they are stored. Git reads the index where it is not there.
fn is_a_rule(path: &Path) -> bool {
    path.ends_with(".gitignore") || path.ends_with(".gitattributes")
}

/// git takes a quote at the beginning for a quoted name, and a CR at the end for a part of the line end.
fn is_a_line(path: &[u8]) -> bool {
    !path.contains(&b'\n') && !path.starts_with(b"\"") && !path.ends_with(b"\r")
}

#[cfg(unix)]
fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
const fn is_executable(_: &std::fs::Metadata) -> bool {
    false
}

/// The names in an upper layer.
struct Layer {
    files: BTreeSet<PathBuf>,
    gone: BTreeSet<PathBuf>,
    /// Directories whose lower part is not the checkout's under the same name.
    covered: Vec<PathBuf>,
}

impl Layer {
    fn of(survey: &Survey) -> Self {
        let files = survey.present.iter().chain(&survey.new).chain(&survey.ignored).cloned().collect();
        let covered = survey.opaque.iter().chain(survey.moved.iter().map(|(to, _)| to)).cloned().collect();
        Self { files, gone: survey.gone.iter().cloned().collect(), covered }
    }

    fn has(&self, path: &Path) -> bool {
        self.files.contains(path)
    }

    /// True if it, or what it lies in, is gone.
    fn hides(&self, path: &Path) -> bool {
        path.ancestors().any(|part| self.gone.contains(part))
    }

    /// True if what the checkout has there can't be seen: also where a file stands for a directory that it lies in.
    fn covers(&self, path: &Path) -> bool {
        let is_below_a_file = path.ancestors().skip(1).any(|part| self.files.contains(part));
        self.hides(path) || is_below_a_file || self.covered.iter().any(|directory| path.starts_with(directory))
    }
}
