//! Git worktrees: one per task, on a branch of its own, in the workspaces' directory.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::branch::Branch;
use crate::error::WorkspaceError;
use crate::files::{Changes, Files};
use crate::filters::Filters;
use crate::finish::{Fate, Finish, commit_rest};
use crate::foreign::is_half_done;
use crate::git::Git;
use crate::hazard;
use crate::lfs;
use crate::plain;

/// A task's worktree.
#[derive(Clone, Debug)]
pub(crate) struct Worktree {
    pub(crate) branch: Branch,
    pub(crate) root: PathBuf,
}

enum Look {
    Ready,
    /// Its making was cut off: nobody has worked in it yet.
    HalfMade,
    /// Not a worktree of this repository.
    Other,
}

impl Worktree {
    /// The task's worktree: the one that is there from an attempt before, or a new one. None when something else is there.
    /// The caller serialises this per repository: git's own locks make concurrent calls fail.
    pub(crate) async fn make(branch: Branch, root: &Path) -> Result<Option<Self>, WorkspaceError> {
        let worktree = Self { root: root.to_owned(), branch };
        // An empty one is the rest of a making that was cut off, or what an agent has emptied: the branch has the rest.
        if std::fs::remove_dir(root).is_err() && root.symlink_metadata().is_ok() {
            match worktree.look() {
                Look::Other => return Ok(None),
                Look::Ready => return Ok(Some(worktree)),
                Look::HalfMade => {
                    worktree.git().text("remove the half-made worktree", worktree.force_remove()).await?;
                }
            }
        }
        worktree.add().await?;
        Ok(Some(worktree))
    }

    /// The project within the worktree.
    pub(crate) fn project(&self) -> PathBuf {
        self.root.join(&self.branch.repository.prefix)
    }

    fn look(&self) -> Look {
        if !self.root.join(".git").is_file() {
            return Look::Other;
        }
        let Some(own) = self.branch.repository.own_of(&self.root) else { return Look::Other };
        // `git worktree add` holds this lock until all files are there.
        let lock = plain::content(&own.join("locked"));
        if lock.trim_ascii() == b"initializing" { Look::HalfMade } else { Look::Ready }
    }

    /// Only for one that is half made or not there.
    fn force_remove(&self) -> [OsString; 5] {
        let [worktree, remove, force] = ["worktree", "remove", "--force"].map(OsString::from);
        [worktree, remove, force.clone(), force, self.root.clone().into_os_string()]
    }

    async fn add(&self) -> Result<(), WorkspaceError> {
        let root = self.root.clone().into_os_string();
        let name = &self.branch.name;
        if self.branch.tip().await?.is_some() {
            // From an attempt before, whose directory is gone; git may still have it on record, which would be in the way.
            self.git().run("forget the former worktree", self.force_remove()).await?;
            let add = ["worktree".into(), "add".into(), "--quiet".into(), root, name.into()];
            self.careful().text("add a worktree", add).await?;
            self.fill().await;
            return Ok(());
        }
        let add = [
            "worktree".into(),
            "add".into(),
            "--quiet".into(),
            "--no-track".into(),
            "-b".into(),
            name.into(),
            root,
            self.branch.repository.head.clone().into(),
        ];
        let added = self.trusting().text("add a worktree", add).await;
        if added.is_err() {
            // Of a worktree that could not be checked out git leaves the branch.
            let _ = self.branch.settle().await;
        }
        added?;
        self.fill().await;
        Ok(())
    }

    async fn fill(&self) {
        let repository = &self.branch.repository;
        if let Some(own) = repository.own_of(&self.root) {
            let git = repository.git_for(&own, &self.root);
            lfs::fill_checkout(&git, &repository.settings, "HEAD").await;
        }
    }

    /// Commits what is to be committed, and looks whether there is anything to lose, which keeps the worktree.
    pub(crate) async fn judge(&self, finish: &Finish) -> Result<Fate, WorkspaceError> {
        if self.root.symlink_metadata().is_err() {
            let branch_kept = self.branch.tip().await?.is_some();
            return Ok(Fate { branch_kept, ..Fate::default() });
        }
        let Some(own) = self.branch.repository.own_of(&self.root) else {
            return Ok(Fate::unknown("it is no worktree of the project's repository any more"));
        };
        if let Some(hazard) = hazard::in_worktree(&self.root, &own).await {
            tracing::warn!(path = %self.root.display(), "the worktree is kept unseen: {hazard}");
            return Ok(Fate::unknown(hazard));
        }
        let files = Files::of_worktree(&self.branch.repository, &self.root, &own, None).await?;
        let mut reason = None;
        if matches!(finish, Finish::Completed { .. }) {
            self.take_over(&files).await?;
        }
        let head = files.git().text("read the current commit", ["rev-parse", "HEAD^{commit}"]).await?;
        let mut changes = files.changes(&head).await?;
        if let Some(message) = finish.message().filter(|_| changes.is_committable()) {
            reason = self.commit(&files, &changes, &own, &head, message).await?;
            if reason.is_none() {
                changes = files.changes("HEAD").await?;
            }
        }
        // Commits on no branch (a detached HEAD) would be lost with the worktree.
        let base = &self.branch.repository.head;
        let args =
            ["rev-list", "--ignore-missing", "--count", "HEAD", "--not", "--branches", "--remotes", "--tags", base];
        let counted = files.git().run("look for commits", args).await?;
        let lost = !counted.success() || String::from_utf8_lossy(&counted.stdout).trim() != "0";
        if lost {
            reason.get_or_insert_with(|| "it has commits that are on no branch".to_owned());
        }
        let branch_kept = self.branch.tip().await?.is_some();
        reason = reason.or_else(|| changes.reason());
        let kept = changes.is_any() || lost;
        let (changed_files, reason) = (Some(changes.count()), reason.filter(|_| kept));
        Ok(Fate { kept, branch_kept, changed_files, reason, history: None })
    }

    /// Commits that the agent has made on a branch of its own, or on none, are on the task's branch then, if they go on from
    /// there, or if the agent has left no such branch.
    async fn take_over(&self, files: &Files) -> Result<(), WorkspaceError> {
        let head = files.git().text("read the current commit", ["rev-parse", "HEAD^{commit}"]).await?;
        if self.branch.tip().await?.is_none()
            && head != self.branch.base
            && let Err(said) = self.branch.try_set(&head, None).await?
        {
            tracing::warn!(branch = %self.branch.name, "the branch could not be set: {said}");
            return Ok(());
        }
        if self.branch.advance(&head).await? {
            let args = ["symbolic-ref", "HEAD", &self.branch.reference()];
            files.git().text("return to the branch", args).await?;
        }
        Ok(())
    }

    async fn commit(
        &self,
        files: &Files,
        changes: &Changes,
        own: &Path,
        head: &str,
        message: &str,
    ) -> Result<Option<String>, WorkspaceError> {
        if is_half_done(own) {
            return Ok(Some("not committed: a merge or a rebase is not finished".to_owned()));
        }
        let tip = self.branch.tip().await?;
        Ok(commit_rest(&self.branch, files, changes, tip.as_deref(), head, message).await?.err())
    }

    /// Removes a worktree that was judged not to be kept; git itself refuses if it has become dirty since. The caller
    /// serialises this per repository.
    pub(crate) async fn remove(&self) -> Result<(), WorkspaceError> {
        let remove = ["worktree".into(), "remove".into(), self.root.clone().into_os_string()];
        self.careful().brief().text("remove the worktree", remove).await.map(drop)
    }

    /// git for files that an agent has had in hand.
    fn careful(&self) -> Git {
        self.git().settings(&Filters::for_agents_files(&self.branch.repository.settings).settings())
    }

    /// git for the user's own files.
    fn trusting(&self) -> Git {
        self.git().settings(&Filters::for_own_files(&self.branch.repository.settings).settings())
    }

    fn git(&self) -> Git {
        self.branch.repository.git()
    }
}
