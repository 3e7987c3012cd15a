//! The files of a workspace, compared with a commit and committed, by the project's own repository: an agent may have
//! written anything among them, so nothing that they name is run, and no repository within them is looked into.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::WorkspaceError;
use crate::git::{Git, entries};
use crate::repository::Repository;

/// Directories of what tools make again at will. What is ignored in them is not kept for.
const CACHES: [&str; 10] = [
    "target",
    "node_modules",
    "__pycache__",
    ".venv",
    "dist",
    "build",
    ".pytest_cache",
    ".mypy_cache",
    ".gradle",
    ".next",
];

/// More than this is not what somebody would commit, but what a tool has left (dependencies, a build).
const MAX_FILES: usize = 10_000;
const MAX_BYTES: u64 = 256 << 20;

/// Drivers whose program is found by `PATH`, and that files can't lead elsewhere. Any other may be a script among the
/// agent's files, and would be run outside of its confinement.
const HARMLESS: [&str; 1] = ["git-lfs"];

/// A directory of files, and an index that they are compared by.
#[derive(Debug)]
pub(crate) struct Files {
    git: Git,
    root: PathBuf,
    /// Filters that are switched off.
    filters: Vec<String>,
}

/// What differs from the commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Paths from the root: changed, new and deleted files.
    pub(crate) paths: Vec<Vec<u8>>,
    /// Repositories of the agent's within: what lies in them is not looked into, and so not thrown away.
    pub(crate) repositories: usize,
    /// What git ignores, outside of caches.
    pub(crate) ignored: Vec<Vec<u8>>,
}

impl Changes {
    /// Whether anything would be lost with the files.
    pub(crate) fn is_any(&self) -> bool {
        self.count() > 0 || !self.ignored.is_empty()
    }

    /// What is to be said of ignored files, where nothing else keeps a workspace.
    pub(crate) fn ignored(&self) -> Option<String> {
        let first = String::from_utf8_lossy(self.ignored.first().filter(|_| self.count() == 0)?);
        Some(match self.ignored.len() {
            1 => format!("1 file that git ignores: {first}"),
            files => format!("{files} files that git ignores, such as {first}"),
        })
    }

    pub(crate) fn count(&self) -> u64 {
        (self.paths.len() + self.repositories) as u64
    }
}

impl Files {
    /// Files that have no index that could be believed: one of our own is made, at `index`, of `commit`.
    pub(crate) async fn untrusted(
        repository: &Repository,
        root: &Path,
        index: &Path,
        commit: &str,
    ) -> Result<Self, WorkspaceError> {
        let filters = Filters::of(repository).await?;
        // An index of our own has no files left out.
        let settings = filters.settings([("core.sparseCheckout", "false")]);
        let git = Git::between(&repository.common, root).index(index).settings(&settings).brief();
        let files = Self { git, root: root.to_owned(), filters: filters.off };
        files.git.text("read the branch", ["read-tree", commit]).await?;
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
        let filters = Filters::of(repository).await?;
        let git = Git::between(own, root).settings(&filters.settings([])).brief();
        let git = if let Some(index) = index { git.index(index) } else { git };
        let files = Self { git, root: root.to_owned(), filters: filters.off };
        files.refresh().await?;
        Ok(files)
    }

    /// git with the repository of the files.
    pub(crate) const fn git(&self) -> &Git {
        &self.git
    }

    /// Has new objects written elsewhere, so that the repository stays as it is.
    #[must_use]
    pub(crate) fn objects_in(mut self, directory: &Path, repository: &Repository) -> Self {
        let own = repository.common.join("objects");
        self.git = self.git.env("GIT_OBJECT_DIRECTORY", directory).env("GIT_ALTERNATE_OBJECT_DIRECTORIES", own);
        self
    }

    async fn refresh(&self) -> Result<(), WorkspaceError> {
        self.git.run("look at the files", ["update-index", "-q", "--refresh"]).await.map(drop)
    }

    /// Compares with `commit`, by what the index knows.
    pub(crate) async fn changes(&self, commit: &str) -> Result<Changes, WorkspaceError> {
        let changed = ["diff-files", "--name-only", "-z", "--no-renames", "--ignore-submodules=all"];
        let changed = self.git.list("compare the files", changed).await?;
        let staged = ["diff-index", "--cached", "--name-only", "-z", "--no-renames", "--ignore-submodules=all", commit];
        let staged = self.git.list("compare the index", staged).await?;
        let new = ["ls-files", "--others", "--exclude-standard", "-z"];
        let new = self.git.list("look for new files", new).await?;
        let links = self.git.list("look for submodules", ["ls-files", "--stage", "-z"]).await?;
        let filled = |entry: &&Vec<u8>| {
            let text = String::from_utf8_lossy(entry);
            let path = text.split_once('\t').map_or("", |(_, path)| path);
            text.starts_with("160000 ") && fs::read_dir(self.root.join(path)).is_ok_and(|mut dir| dir.next().is_some())
        };
        let filled = links.iter().filter(filled).count();
        // git names a directory, and no file in it, where that is a repository of its own.
        let (within, new): (Vec<_>, Vec<_>) = new.into_iter().partition(|path| path.ends_with(b"/"));
        let paths: BTreeSet<_> = changed.into_iter().chain(staged).chain(new).collect();
        let ignored = self.ignored().await?;
        Ok(Changes { paths: paths.into_iter().collect(), repositories: filled + within.len(), ignored })
    }

    async fn ignored(&self) -> Result<Vec<Vec<u8>>, WorkspaceError> {
        let ignored = ["ls-files", "--others", "--ignored", "--exclude-standard", "-z", "--", "."].map(str::to_owned);
        let caches = CACHES.map(|name| format!(":(exclude,glob)**/{name}/**"));
        self.git.list("look for ignored files", ignored.into_iter().chain(caches)).await
    }

    /// Why what differs is not to be committed without having been looked at.
    pub(crate) async fn objection(&self, changes: &Changes) -> Result<Option<String>, WorkspaceError> {
        if changes.paths.len() > MAX_FILES {
            return Ok(Some(format!("not committed: {} files are more than {MAX_FILES}", changes.paths.len())));
        }
        let size = |path: &Vec<u8>| {
            let path = self.root.join(String::from_utf8_lossy(path).as_ref());
            path.symlink_metadata().map_or(0, |metadata| metadata.len())
        };
        if changes.paths.iter().map(size).fold(0, u64::saturating_add) > MAX_BYTES {
            return Ok(Some(format!("not committed: the files have more than {} MiB", MAX_BYTES >> 20)));
        }
        if !self.git.list("look for conflicts", ["ls-files", "--unmerged", "-z"]).await?.is_empty() {
            return Ok(Some("not committed: conflicts are not resolved".to_owned()));
        }
        if self.filters.is_empty() {
            return Ok(None);
        }
        let args = ["check-attr", "-z", "--stdin", "filter"];
        let found = self.git.feed("look for filters", args, lines(&changes.paths)).await?;
        if !found.success() {
            return Err(self.git.refused("look for filters", &found));
        }
        let found = entries(&found.stdout);
        let named = found.chunks_exact(3).find_map(|entry| {
            let name = String::from_utf8_lossy(&entry[2]).into_owned();
            self.filters.contains(&name).then(|| (String::from_utf8_lossy(&entry[0]).into_owned(), name))
        });
        Ok(named.map(|(path, name)| {
            format!("not committed: {path} has to pass the filter `{name}`, which is not run on an agent's files")
        }))
    }

    /// Takes over into the index what differs, and returns the tree.
    pub(crate) async fn tree(&self, changes: &Changes) -> Result<String, WorkspaceError> {
        if !changes.paths.is_empty() {
            let args = ["update-index", "--add", "--remove", "--replace", "-z", "--stdin"];
            self.git.fed("add the files", args, lines(&changes.paths)).await?;
        }
        self.git.text("write the tree", ["write-tree"]).await
    }
}

fn lines(paths: &[Vec<u8>]) -> Vec<u8> {
    paths.iter().flat_map(|path| path.iter().copied().chain([0])).collect()
}

/// What switches the user's filters off, for files of which an agent may have written some: `.gitattributes`, say, or a
/// script that a filter names.
pub(crate) async fn without_filters(repository: &Repository) -> Result<Vec<(String, String)>, WorkspaceError> {
    Ok(Filters::of(repository).await?.settings([]))
}

/// The filters that the user's git knows.
struct Filters {
    off: Vec<String>,
}

impl Filters {
    async fn of(repository: &Repository) -> Result<Self, WorkspaceError> {
        let asked = ["config", "-z", "--get-regexp", r"^filter\..*\.(clean|smudge|process)$"];
        let git = Git::at(&repository.top);
        let found = git.run("read the filters", asked).await?;
        let mut off = BTreeSet::new();
        for entry in entries(&found.stdout) {
            let entry = String::from_utf8_lossy(&entry).into_owned();
            let (key, value) = entry.split_once('\n').unwrap_or((&entry, ""));
            let name = key.strip_prefix("filter.").and_then(|key| key.rsplit_once('.')).map(|(name, _)| name);
            let program = value.split_whitespace().next().unwrap_or_default();
            if let Some(name) = name.filter(|_| !HARMLESS.contains(&program) || !is_plain(value)) {
                off.insert(name.to_owned());
            }
        }
        Ok(Self { off: off.into_iter().collect() })
    }

    fn settings<const N: usize>(&self, more: [(&str, &str); N]) -> Vec<(String, String)> {
        let off = self.off.iter().flat_map(|name| {
            let keys = ["clean", "smudge", "process"].map(|key| (format!("filter.{name}.{key}"), String::new()));
            keys.into_iter().chain([(format!("filter.{name}.required"), "false".to_owned())])
        });
        off.chain(more.map(|(key, value)| (key.to_owned(), value.to_owned()))).collect()
    }
}

/// One program with plain arguments: a shell would make nothing else of it.
fn is_plain(command: &str) -> bool {
    command.chars().all(|char| char.is_ascii_alphanumeric() || " -_%.".contains(char))
}
