//! Brings a task's branch into the current branch of the user's checkout. All is worked out beside it, in objects alone;
//! then the checkout is moved on to the finished commit, by git, if nothing that the user has not committed is in the way.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nexus_core::event::DiffStat;
use nexus_core::id::TaskId;

use crate::branch::{Branch, stat};
use crate::carry::Step;
use crate::checkout::{Checkout, New};
use crate::combine::{Combined, beyond_snapshot, merge, rebase};
use crate::error::WorkspaceError;
use crate::foreign::is_half_done;
use crate::lfs;
use crate::paths::from_bytes;
use crate::repository::Repository;
use crate::uncommitted::is_snapshot;
use crate::workspaces::Workspaces;

/// The way to bring together histories that have parted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// By a merge commit.
    Merge,
    /// By making the task's commits anew, on top of the current branch.
    Rebase,
}

/// The way in which a branch was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The current branch had all of it before.
    Already,
    FastForward,
    Merged,
    Rebased,
}

/// A branch that has been applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    pub how: How,
    /// The task's branch.
    pub branch: String,
    /// The user's, that it was brought into.
    pub into: String,
    /// The commit that this was at before, and is at now.
    pub from: String,
    pub to: String,
    pub diff: DiffStat,
}

/// Why a branch was not applied. Nothing has been changed then.
#[derive(Debug, thiserror::Error)]
pub enum NotApplied {
    #[error("{} is in no git repository with a commit", .0.display())]
    NoRepository(PathBuf),
    #[error("there is no branch {0} in the project's repository: the task has committed nothing, or it was deleted")]
    NoBranch(String),
    #[error("{} is on no branch (its HEAD is detached), so there is none to bring {branch} into", .top.display())]
    Detached { top: PathBuf, branch: String },
    #[error("a merge, a rebase or a cherry-pick is not finished in {}", .0.display())]
    HalfDone(PathBuf),
    #[error("{branch} and {into} have changed the same lines{}: {}", .at.as_ref().map_or_else(String::new, |at| format!(", in \u{201c}{at}\u{201d}")), list(.files))]
    Conflicts {
        branch: String,
        into: String,
        files: Vec<String>,
        /// The subject of the commit that can't be made anew, in a rebase.
        at: Option<String>,
    },
    #[error("{} has changes of yours in files that {branch} changes too: {}", .top.display(), list(.files))]
    InTheWay { top: PathBuf, branch: String, files: Vec<String> },
    #[error("{branch} builds on uncommitted changes of yours in files that it changes too: {}", list(.files))]
    Inseparable { top: PathBuf, branch: String, files: Vec<String> },
    #[error("another git process works in the repository, or has left its lock: {}", .0.display())]
    Locked(PathBuf),
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
}

/// Names that an error lists; more are counted.
const LISTED: usize = 20;

fn list(files: &[String]) -> String {
    let named = files.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    match files.len().saturating_sub(LISTED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

impl Workspaces {
    /// Applies what the task has committed. `base` is the commit that its branch started from, as the result says.
    pub async fn apply(
        &self,
        task: TaskId,
        project: &Path,
        base: Option<&str>,
        method: Method,
    ) -> Result<Applied, NotApplied> {
        let none = || NotApplied::NoRepository(project.to_owned());
        if !project.is_dir() {
            return Err(WorkspaceError::NoProject(project.to_owned()).into());
        }
        let repository = Repository::find_for(project, task).await?.ok_or_else(none)?;
        let _lock = self.locks.lock_or_refuse(&repository.common).await?;
        // It may have moved while the lock was waited for.
        let repository = Repository::find_for(project, task).await?.ok_or_else(none)?;
        let from = repository.head.clone();
        let mut branch = Branch::of(repository, task, base.unwrap_or(&from).to_owned()).await?;
        branch.is_snapshot = match base {
            Some(base) => is_snapshot(&branch.repository, task, base).await?,
            None => false,
        };
        branch.apply(&from, method).await
    }
}

impl Branch {
    async fn apply(&self, from: &str, method: Method) -> Result<Applied, NotApplied> {
        let (top, branch) = (self.repository.top.clone(), self.name.clone());
        let tip = self.tip().await?.ok_or_else(|| NotApplied::NoBranch(branch.clone()))?;
        let into =
            self.current().await?.ok_or_else(|| NotApplied::Detached { top: top.clone(), branch: branch.clone() })?;
        if self.is_half_done().await? {
            return Err(NotApplied::HalfDone(top));
        }
        // An agent may have left the snapshot's history: then nothing is to be left out.
        let leaves_out = self.is_snapshot && self.repository.is_ancestor(&self.base, &tip).await?;
        let (how, to) = if self.repository.is_ancestor(&tip, from).await? {
            (How::Already, from.to_owned())
        } else if !leaves_out && self.repository.is_ancestor(from, &tip).await? {
            (How::FastForward, tip.clone())
        } else {
            let (how, combined) = match method {
                _ if leaves_out => (How::Rebased, beyond_snapshot(self, from, &tip).await?),
                Method::Merge => (How::Merged, merge(self, from, &tip).await?),
                Method::Rebase => (How::Rebased, rebase(self, from, &tip).await?),
            };
            match combined {
                Combined::Commit(to) if to == from => (How::Already, to),
                Combined::Commit(to) => (how, to),
                Combined::Conflicts { files, at } => {
                    let edited = if leaves_out { self.edited(&files).await? } else { Vec::new() };
                    return Err(match edited.is_empty() {
                        true => NotApplied::Conflicts { branch, into, files, at },
                        false => NotApplied::Inseparable { top, branch, files: edited },
                    });
                }
            }
        };
        if how != How::Already {
            let files = self.in_the_way(from, &to).await?;
            if files.is_empty() {
                self.advance_checkout(&to).await?;
            } else if leaves_out {
                self.carry(Step { from, to: &to, tip: &tip }, &files).await?;
            } else {
                return Err(NotApplied::InTheWay { top, branch, files });
            }
        }
        let args = ["diff", "--no-color", "--no-ext-diff", "--no-textconv", "--shortstat", from, &to];
        let diff = stat(&self.repository.git().text("sum up the changes", args).await?);
        Ok(Applied { how, branch, into, from: from.to_owned(), to, diff })
    }

    /// The branch that the user's checkout is on.
    async fn current(&self) -> Result<Option<String>, WorkspaceError> {
        let args = ["symbolic-ref", "--quiet", "--short", "HEAD"];
        let captured = self.repository.git().run("read the current branch", args).await?;
        Ok(captured.success().then(|| String::from_utf8_lossy(&captured.stdout).trim().to_owned()))
    }

    async fn is_half_done(&self) -> Result<bool, WorkspaceError> {
        let git = self.repository.git();
        let own = git.text("look for the repository", ["rev-parse", "--absolute-git-dir"]).await?;
        let unmerged = git.text("look for conflicts", ["ls-files", "--unmerged", "-z"]).await?;
        Ok(is_half_done(Path::new(&own)) || !unmerged.is_empty())
    }

    /// Moves the user's checkout on. git does it as a whole or refuses; what it would refuse for is found before, to be
    /// named. Hooks are not run, filters (such as git-lfs) are: the files are the user's own from here on.
    async fn advance_checkout(&self, to: &str) -> Result<(), NotApplied> {
        let args = [
            "merge",
            "--ff-only",
            "--no-overwrite-ignore",
            "--no-autostash",
            "--no-verify-signatures",
            "--no-stat",
            "--quiet",
            to,
        ];
        let git = self.repository.git().env("GIT_REFLOG_ACTION", format!("nexus apply {}", self.name));
        git.text("move the checkout on", args).await?;
        lfs::fill_checkout(&git, &self.repository.settings, to).await;
        Ok(())
    }

    /// Those of these files that have uncommitted changes of the user's.
    async fn edited(&self, files: &[String]) -> Result<Vec<String>, WorkspaceError> {
        let changes = Checkout::attended(&self.repository).changes(New::Each).await?;
        let names: BTreeSet<String> = changes.iter().map(|change| change.name()).collect();
        Ok(files.iter().filter(|file| names.contains(*file)).cloned().collect())
    }

    /// Files that differ between the commits, and that the user has changed without committing, or that git doesn't know.
    async fn in_the_way(&self, from: &str, to: &str) -> Result<Vec<String>, WorkspaceError> {
        let git = self.repository.git();
        let diff = ["diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", "--ignore-submodules=none"];
        let changed = git.list("compare the commits", diff.into_iter().chain([from, to])).await?;
        let added = git.list("compare the commits", diff.into_iter().chain(["--diff-filter=A", from, to])).await?;
        let status =
            ["status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=dirty"];
        let status = git.list("read the status", status).await?;
        // Two letters and a space stand before the name.
        let dirty: BTreeSet<&[u8]> = status.iter().filter_map(|entry| entry.get(3..)).collect();
        let overlaps =
            |path: &[u8]| dirty.iter().any(|dirty| *dirty == path || holds(dirty, path) || holds(path, dirty));
        let mut files: BTreeSet<_> = changed.iter().filter(|path| overlaps(path)).collect();
        // One that is ignored has no status.
        for path in &added {
            let is_directory = match self.repository.top.join(from_bytes(path)).symlink_metadata() {
                Ok(metadata) => metadata.is_dir(),
                Err(_) => continue,
            };
            // A directory of nothing but committed files gives way.
            if !is_directory || self.holds_unknown(path).await? {
                files.insert(path);
            }
        }
        Ok(files.into_iter().map(|path| String::from_utf8_lossy(path).into_owned()).collect())
    }
}

impl Branch {
    /// True if a directory of the checkout has files that git doesn't know, ignored ones too.
    async fn holds_unknown(&self, directory: &[u8]) -> Result<bool, WorkspaceError> {
        let git = self.repository.git().env("GIT_LITERAL_PATHSPECS", "1");
        let args = ["ls-files", "--others", "-z", "--"].map(OsString::from);
        let directory = self.repository.top.join(from_bytes(directory)).into_os_string();
        Ok(!git.list("look for files", args.into_iter().chain([directory])).await?.is_empty())
    }
}

/// True if `path` lies in `directory`.
fn holds(directory: &[u8], path: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.first() == Some(&b'/'))
}
