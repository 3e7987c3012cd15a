//! The files of a workspace, compared with a commit and committed, by the project's own repository: an agent may have
//! written anything among them, so nothing that they name is run, and no repository within them is looked into.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::alternates::quoted;
use crate::error::WorkspaceError;
use crate::filters::Filters;
use crate::git::{Git, entries, path_of};
use crate::index::{Index, NOTHING, note};
use crate::medium::Medium;
use crate::paths::{bytes, from_bytes, lines};
use crate::repository::Repository;
use crate::settings::Settings;
use crate::survey::{Survey, Surveyor, Tracked};

/// More than this is not what somebody would commit, but what a tool has left (dependencies, a build).
pub(crate) const MAX_FILES: usize = 10_000;
pub(crate) const MAX_BYTES: u64 = 256 << 20;
/// Letters of a path that a reason shows.
const SHOWN: usize = 200;

/// A directory of files, and an index that they are compared by.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) git: Git,
    pub(crate) root: PathBuf,
    pub(crate) filters: Filters,
    pub(crate) medium: Medium,
    pub(crate) form: Form,
}

/// The form in which the files are there.
#[derive(Debug)]
pub(crate) enum Form {
    /// All of them, with an index that is up to date.
    Whole,
    /// Those that an agent has touched, over a checkout, and over a warm layer if there is one.
    Layer(Index, Option<PathBuf>),
}

/// The differences from the commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Paths from the root: changed and new files, that are there.
    pub(crate) there: Vec<PathBuf>,
    /// Deleted ones.
    pub(crate) gone: Vec<PathBuf>,
    /// Files as another commit has them: mode, id, path.
    pub(crate) stored: Vec<(String, String, PathBuf)>,
    /// Files that a filter would have to pass which is not run on an agent's files: path, filter.
    pub(crate) withheld: Vec<(PathBuf, String)>,
    /// Repositories of the agent's within: what lies in them is not looked into, and so not thrown away.
    pub(crate) nested: Vec<PathBuf>,
    /// Directories that can't be read.
    pub(crate) unread: Vec<PathBuf>,
    /// Directories whose files are of a submodule or of a warm layer, and have been moved.
    pub(crate) borrowed: Vec<PathBuf>,
    /// Paths that git ignores, outside of caches.
    pub(crate) ignored: Vec<PathBuf>,
}

impl Changes {
    /// True if anything would be lost with the files.
    pub(crate) fn is_any(&self) -> bool {
        self.count() > 0 || !self.ignored.is_empty()
    }

    /// True if there is something to be committed.
    pub(crate) fn is_committable(&self) -> bool {
        !(self.there.is_empty() && self.gone.is_empty() && self.stored.is_empty())
    }

    /// Why the workspace is kept for them, beyond their number.
    pub(crate) fn reason(&self) -> Option<String> {
        if let Some((path, filter)) = self.withheld.first() {
            let path = path.display();
            return Some(format!(
                "not committed: {path} has to pass the filter `{filter}`, which is not run on an agent's files"
            ));
        }
        if let Some(first) = self.nested.first() {
            let first = first.display();
            return Some(format!("there is a repository within it, which is not looked into: {first}"));
        }
        if let Some(first) = self.unread.first() {
            return Some(format!("a directory can't be read: {}", shortened(first)));
        }
        if let Some(first) = self.borrowed.first() {
            return Some(format!(
                "not committed: {} was moved there from a submodule, or from what `warm` has made",
                shortened(first)
            ));
        }
        let first = self.ignored.first().filter(|_| self.count() == 0)?.display();
        Some(match self.ignored.len() {
            1 => format!("1 file that git ignores: {first}"),
            files => format!("{files} files that git ignores, such as {first}"),
        })
    }

    pub(crate) fn count(&self) -> u64 {
        let files = self.there.len() + self.gone.len() + self.stored.len();
        (files + self.withheld.len() + self.nested.len() + self.unread.len() + self.borrowed.len()) as u64
    }
}

/// A path may have thousands of letters.
fn shortened(path: &Path) -> String {
    let shown = path.display().to_string();
    match shown.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}\u{2026}", &shown[..end]),
        None => shown,
    }
}

impl Files {
    /// Files that have no index that could be believed: one of our own is made, at `index`, of `commit`. `known` is an index
    /// that we have kept from when the files were made, and its commit: what it tells of them need not be read anew.
    pub(crate) async fn untrusted(
        repository: &Repository,
        root: &Path,
        index: &Path,
        commit: &str,
        known: Option<(&Path, &str)>,
    ) -> Result<Self, WorkspaceError> {
        let files = Self::at(
            &repository.settings,
            repository.git_for(&repository.common, root).index(index),
            root,
            Form::Whole,
        );
        match known {
            Some((kept, from)) => Index::new(kept, index, from).begin(&files.git, commit).await?,
            None => drop(files.git.text("read the branch", ["read-tree", commit]).await?),
        }
        files.refresh().await?;
        Ok(files)
    }

    /// The files of a worktree, with its index, which stands in the project's repository at `own`, or a copy of that.
    pub(crate) async fn of_worktree(
        repository: &Repository,
        root: &Path,
        own: &Path,
        index: Option<&Path>,
    ) -> Result<Self, WorkspaceError> {
        let git = repository.git_for(own, root);
        let git = if let Some(index) = index { git.index(index) } else { git };
        let files = Self::at(&repository.settings, git, root, Form::Whole);
        files.refresh().await?;
        Ok(files)
    }

    /// The files in the layer at `upper`, over the checkout that `index` is of.
    pub(crate) fn of_layer(repository: &Repository, upper: &Path, index: Index, warm: Option<PathBuf>) -> Self {
        let git = repository.git_for(&repository.common, upper).index(&index.kept);
        Self::at(&repository.settings, git, upper, Form::Layer(index, warm))
    }

    fn at(settings: &Settings, git: Git, root: &Path, form: Form) -> Self {
        let filters = Filters::for_agents_files(settings);
        let medium = Medium::of(root.parent().unwrap_or(root));
        let mut set = filters.settings();
        set.extend(medium.settings());
        // An index of our own has no files left out.
        if !matches!(form, Form::Whole) || settings.is_set("core.sparsecheckout") {
            set.push(("core.sparseCheckout".to_owned(), "false".to_owned()));
        }
        Self { git: git.settings(&set).brief(), root: root.to_owned(), filters, medium, form }
    }

    /// git with the repository of the files.
    pub(crate) const fn git(&self) -> &Git {
        &self.git
    }

    /// Has new objects written elsewhere, so that the repository stays as it is.
    #[must_use]
    pub(crate) fn objects_in(mut self, directory: &Path, repository: &Repository) -> Self {
        let own = path_of(&quoted(&repository.common.join("objects")));
        self.git = self.git.env("GIT_OBJECT_DIRECTORY", directory).env("GIT_ALTERNATE_OBJECT_DIRECTORIES", own);
        self
    }

    async fn refresh(&self) -> Result<(), WorkspaceError> {
        self.git.run("look at the files", ["update-index", "-q", "--refresh"]).await.map(drop)
    }

    /// Compares with `commit`.
    pub(crate) async fn changes(&self, commit: &str) -> Result<Changes, WorkspaceError> {
        match &self.form {
            Form::Whole => self.changes_of_all(commit).await,
            Form::Layer(index, warm) => self.changes_of_layer(index, warm.as_deref(), commit).await,
        }
    }

    /// By what the index knows.
    async fn changes_of_all(&self, commit: &str) -> Result<Changes, WorkspaceError> {
        let changed = ["diff-files", "--name-only", "-z", "--no-renames", "--ignore-submodules=all"];
        let changed = self.git.list("compare the files", changed).await?;
        let staged = ["diff-index", "--cached", "--name-only", "-z", "--no-renames", "--ignore-submodules=all", commit];
        let staged = self.git.list("compare the index", staged).await?;
        let mut files = BTreeSet::new();
        let mut submodules = BTreeSet::new();
        for entry in self.git.list("list the files", ["ls-files", "--stage", "-z"]).await? {
            let Some(tab) = entry.iter().position(|byte| *byte == b'\t') else { continue };
            let path = from_bytes(&entry[tab + 1..]);
            if entry.starts_with(b"160000 ") {
                submodules.insert(path)
            } else {
                files.insert(path)
            };
        }
        let mut directories = BTreeSet::new();
        for path in files.iter().chain(&submodules) {
            for parent in path.ancestors().skip(1) {
                if !directories.insert(parent.to_owned()) {
                    break;
                }
            }
        }
        let tracked = Tracked::Listed { files: &files, directories: &directories };
        let surveyor = Surveyor { root: &self.root, git: &self.git, tracked, submodules: &submodules };
        let mut survey = surveyor.survey().await?;
        let new = std::mem::take(&mut survey.new);
        let paths: BTreeSet<PathBuf> = changed.iter().chain(&staged).map(|path| from_bytes(path)).collect();
        let (there, mut gone): (Vec<_>, Vec<_>) =
            paths.into_iter().filter(|path| !submodules.contains(path)).partition(|path| self.is_there(path));
        let Survey { nested, ignored, unread, .. } = survey;
        gone.retain(|path: &PathBuf| !unread.iter().any(|directory| path.starts_with(directory)));
        let mut changes = Changes { there, gone, nested, unread, ignored, ..Changes::default() };
        self.withhold(&mut changes, new).await?;
        Ok(changes)
    }

    /// True if a file or a link is there: all that git can keep. What lies behind a link is elsewhere.
    pub(crate) fn is_there(&self, path: &Path) -> bool {
        let parents = path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty());
        if parents.into_iter().any(|parent| self.root.join(parent).is_symlink()) {
            return false;
        }
        self.root.join(path).symlink_metadata().is_ok_and(|metadata| metadata.is_file() || metadata.is_symlink())
    }

    /// Takes out what would have to pass a filter that is not run, and adds what is new.
    pub(crate) async fn withhold(&self, changes: &mut Changes, new: Vec<PathBuf>) -> Result<(), WorkspaceError> {
        changes.there.extend(new);
        if self.filters.are_all_on() || changes.there.is_empty() {
            return Ok(());
        }
        let doing = "look for filters";
        let args = ["check-attr", "-z", "--stdin", "filter"];
        let found = self.git.feed(doing, args, lines(changes.there.iter().map(|path| bytes(path)))).await?;
        if !found.success() {
            return Err(self.git.refused(doing, &found));
        }
        for entry in entries(&found.stdout).chunks_exact(3) {
            let name = String::from_utf8_lossy(&entry[2]).into_owned();
            if self.filters.is_off(&name) {
                changes.withheld.push((from_bytes(&entry[0]), name));
            }
        }
        let withheld: BTreeSet<&PathBuf> = changes.withheld.iter().map(|(path, _)| path).collect();
        changes.there.retain(|path| !withheld.contains(path));
        Ok(())
    }

    /// Why what differs is not to be committed without having been looked at.
    pub(crate) async fn objection(&self, changes: &Changes) -> Result<Option<String>, WorkspaceError> {
        let files = changes.there.len() + changes.gone.len() + changes.stored.len();
        if files > MAX_FILES {
            return Ok(Some(format!("not committed: {files} files are more than {MAX_FILES}")));
        }
        let size = |path: &PathBuf| self.root.join(path).symlink_metadata().map_or(0, |metadata| metadata.len());
        if changes.there.iter().map(size).fold(0, u64::saturating_add) > MAX_BYTES {
            return Ok(Some(format!("not committed: the files have more than {} MiB", MAX_BYTES >> 20)));
        }
        if matches!(self.form, Form::Whole)
            && !self.git.list("look for conflicts", ["ls-files", "--unmerged", "-z"]).await?.is_empty()
        {
            return Ok(Some("not committed: conflicts are not resolved".to_owned()));
        }
        Ok(None)
    }

    /// Takes over into the index what differs from `commit`, and returns the tree.
    pub(crate) async fn tree(&self, changes: &Changes, commit: &str) -> Result<String, WorkspaceError> {
        let git = match &self.form {
            Form::Whole => self.git.clone(),
            Form::Layer(index, _) => index.opened(&self.git, commit).await?,
        };
        add(&git, changes, commit).await?;
        git.text("write the tree", ["write-tree"]).await
    }
}

/// Puts what differs into the index that `git` works on.
async fn add(git: &Git, changes: &Changes, commit: &str) -> Result<(), WorkspaceError> {
    let nothing = "0".repeat(commit.len());
    let gone = changes.gone.iter().map(|path| (NOTHING, nothing.as_str(), path.as_path()));
    let stored = changes.stored.iter().map(|(mode, id, path)| (mode.as_str(), id.as_str(), path.as_path()));
    note(git, gone.chain(stored)).await?;
    take_over(git, &changes.there).await
}

/// Takes files over into the index that `git` works on, as they are.
pub(crate) async fn take_over(git: &Git, paths: &[PathBuf]) -> Result<(), WorkspaceError> {
    if paths.is_empty() {
        return Ok(());
    }
    let args = ["update-index", "--add", "--remove", "--replace", "-z", "--stdin"];
    git.fed("add the files", args, lines(paths.iter().map(|path| bytes(path)))).await.map(drop)
}
