//! Moves the user's checkout on where files that change are being edited: a task that has started from the edits has
//! worked on, so its changes are merged into the edited files, and the edits stay uncommitted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::apply::NotApplied;
use crate::branch::Branch;
use crate::checkout::{Checkout, New};
use crate::combine::merge_trees;
use crate::error::WorkspaceError;
use crate::git::Git;
use crate::index;

/// A file's mode and object, as an index has it.
type Entries = BTreeMap<Vec<u8>, String>;

/// Where the checkout goes: the user's commit, the one that follows, and the end of the task's branch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) tip: &'a str,
}

impl Branch {
    /// Moves the checkout on, and merges what the task has changed in `files`, which are being edited, into these. Nothing is
    /// changed where that can't be: they are named then.
    pub(crate) async fn carry(&self, step: Step<'_>, files: &[String]) -> Result<(), NotApplied> {
        let own = self.place("index").await?;
        // Nobody else's git changes the index meanwhile.
        let lock = IndexLock::take(&own)?;
        let (mine, aside) = (self.place("nexus-index").await?, self.place("nexus-aside").await?);
        let (mine, aside) = (Scratch(mine), Scratch(aside));
        index::copy(&own, &mine.0).map_err(WorkspaceError::io("copy", &own))?;
        let plan = self.plan(step, files, &mine.0, &aside.0).await?;
        let git = self.repository.git().index(&mine.0);
        // git moves all files on, or refuses and moves none.
        let args = ["-c", "core.splitIndex=false", "read-tree", "-m", "-u", "--no-recurse-submodules"];
        git.text("move the checkout on", args.into_iter().chain([plan.before.as_str(), &plan.after])).await?;
        set(&git, &plan.staged, step.to).await?;
        lock.put(&mine.0)?;
        let said = format!("nexus apply {}: Rebase", self.name);
        let args = ["update-ref", "-m", &said, "HEAD", step.to, step.from];
        self.repository.git().text("move the branch on", args).await?;
        Ok(())
    }

    /// Works out the two trees that the checkout goes from and to, and what is staged then.
    async fn plan(&self, step: Step<'_>, files: &[String], mine: &Path, aside: &Path) -> Result<CarryPlan, NotApplied> {
        let refused = |files: Vec<String>| NotApplied::InTheWay {
            top: self.repository.top.clone(),
            branch: self.name.clone(),
            files,
        };
        let checkout = Checkout::attended(&self.repository);
        let changes = checkout.changes(New::Each).await?;
        let edited: BTreeSet<String> =
            changes.iter().filter(|change| !change.is_conflict).map(|change| change.name()).collect();
        // A directory where a file would be, or a file that git ignores, can't be merged.
        let odd: Vec<_> = files.iter().filter(|file| !edited.contains(*file)).cloned().collect();
        if !odd.is_empty() {
            return Err(refused(odd));
        }
        let paths: Vec<Vec<u8>> = files.iter().map(|file| file.as_bytes().to_vec()).collect();
        let (mine, aside) = (self.repository.git().index(mine), self.repository.git().index(aside));
        let staged = self.entries(&mine, &paths).await?;
        let here = self.tree_entries(&aside, step.from, &paths).await?;
        checkout.add(&aside, paths.iter().map(Vec::as_slice)).await?;
        let edits = self.entries(&aside, &paths).await?;
        let before = write_tree(&aside).await?;
        let at = self.repository.commit(&before, &[step.from], "Edits\n", None).await?;
        let merged = match merge_trees(self, Some(&self.base), &at, step.tip).await? {
            Ok(merged) => merged,
            Err(conflicts) => return Err(refused(conflicts)),
        };
        let merged = self.tree_entries(&aside, &merged, &paths).await?;
        let committed = self.tree_entries(&aside, step.to, &paths).await?;
        let with_edits = difference(&paths, &merged);
        set(&aside, &with_edits, step.to).await?;
        let after = write_tree(&aside).await?;
        let mut then = Vec::new();
        let mut partly = Vec::new();
        for path in &paths {
            let (staged, entry) = (staged.get(path), |entries: &Entries| (path.clone(), entries.get(path).cloned()));
            if staged == here.get(path) {
                then.push(entry(&committed));
            } else if staged == edits.get(path) {
                then.push(entry(&merged));
            } else {
                partly.push(String::from_utf8_lossy(path).into_owned());
            }
        }
        if !partly.is_empty() {
            return Err(refused(partly));
        }
        checkout.add(&mine, paths.iter().map(Vec::as_slice)).await?;
        Ok(CarryPlan { before, after, staged: then })
    }

    /// The entries that the index of `git` has of these paths.
    async fn entries(&self, git: &Git, paths: &[Vec<u8>]) -> Result<Entries, WorkspaceError> {
        let listed = git.list("read the index", ["ls-files", "--stage", "-z"]).await?;
        let entry = |line: &Vec<u8>| {
            let tab = line.iter().position(|byte| *byte == b'\t')?;
            let mut words = std::str::from_utf8(&line[..tab]).ok()?.split(' ');
            let (mode, id) = (words.next()?, words.next()?);
            Some((line[tab + 1..].to_vec(), format!("{mode} {id}")))
        };
        let wanted: BTreeSet<_> = paths.iter().collect();
        Ok(listed.iter().filter_map(entry).filter(|(path, _)| wanted.contains(path)).collect())
    }

    /// The same of a commit or a tree, which is read into that index.
    async fn tree_entries(&self, git: &Git, tree: &str, paths: &[Vec<u8>]) -> Result<Entries, WorkspaceError> {
        git.text("read a tree", ["-c", "core.splitIndex=false", "read-tree", tree]).await?;
        self.entries(git, paths).await
    }

    /// Where the checkout has a file of git's own.
    async fn place(&self, name: &str) -> Result<PathBuf, WorkspaceError> {
        let args = ["rev-parse", "--path-format=absolute", "--git-path", name];
        self.repository.git().path("look for the index", args).await
    }
}

#[derive(Debug)]
struct CarryPlan {
    before: String,
    after: String,
    /// The index's entries of the edited files at the end.
    staged: Vec<(Vec<u8>, Option<String>)>,
}

fn difference(paths: &[Vec<u8>], to: &Entries) -> Vec<(Vec<u8>, Option<String>)> {
    paths.iter().map(|path| (path.clone(), to.get(path).cloned())).collect()
}

async fn write_tree(git: &Git) -> Result<String, WorkspaceError> {
    git.text("write the tree", ["-c", "core.splitIndex=false", "write-tree", "--missing-ok"]).await
}

/// Sets entries of the index of `git`, or removes them.
async fn set(git: &Git, entries: &[(Vec<u8>, Option<String>)], commit: &str) -> Result<(), WorkspaceError> {
    // An id of zeros is as long as any other one of the repository.
    let none = format!("0 {}", "0".repeat(commit.len()));
    let line = |(path, entry): &(Vec<u8>, Option<String>)| {
        let mut line = format!("{}\t", entry.as_deref().unwrap_or(&none)).into_bytes();
        line.extend_from_slice(path);
        line.push(0);
        line
    };
    let input: Vec<u8> = entries.iter().flat_map(line).collect();
    let args = ["-c", "core.splitIndex=false", "update-index", "-z", "--index-info"];
    git.fed("set the index", args, input).await.map(drop)
}

/// The lock that git itself holds while it changes an index; given up when this is dropped.
#[derive(Debug)]
struct IndexLock {
    index: PathBuf,
    lock: PathBuf,
    is_held: bool,
}

impl IndexLock {
    fn take(index: &Path) -> Result<Self, NotApplied> {
        let mut lock = index.as_os_str().to_owned();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        match OpenOptions::new().write(true).create_new(true).open(&lock) {
            Ok(_) => Ok(Self { index: index.to_owned(), lock, is_held: true }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(NotApplied::Locked(lock)),
            Err(error) => Err(WorkspaceError::io("create", &lock)(error).into()),
        }
    }

    /// Makes this the index, in one step.
    fn put(mut self, from: &Path) -> Result<(), WorkspaceError> {
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).truncate(true).open(&self.lock)?;
            file.write_all(&fs::read(from)?)?;
            file.set_modified(from.metadata()?.modified()?)?;
            file.sync_all()?;
            fs::rename(&self.lock, &self.index)
        };
        write().map_err(WorkspaceError::io("write", &self.index))?;
        self.is_held = false;
        Ok(())
    }
}

impl Drop for IndexLock {
    fn drop(&mut self) {
        if self.is_held {
            let _ = fs::remove_file(&self.lock);
        }
    }
}

/// An index of our own, gone when this is dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
