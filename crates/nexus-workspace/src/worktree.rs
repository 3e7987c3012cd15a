//! Git worktrees: one per task, on a branch of its own, in the workspaces' directory.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::branch::Branch;
use crate::error::WorkspaceError;
use crate::files::{Changes, Files, without_filters};
use crate::finish::{Fate, Finish, commit_rest, is_half_done};
use crate::git::Git;
use crate::hazard;

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
        let lock = std::fs::read_to_string(own.join("locked")).unwrap_or_default();
        if lock.trim() == "initializing" { Look::HalfMade } else { Look::Ready }
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
            return self.careful().await?.text("add a worktree", add).await.map(drop);
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
        self.git().text("add a worktree", add).await.map(drop)
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
        let mut changes = files.changes("HEAD").await?;
        let mut reason = None;
        if let Finish::Completed { commit } = finish {
            self.take_over(&files).await?;
            if let Some(message) = commit.as_ref().filter(|_| !changes.paths.is_empty()) {
                reason = self.commit(&files, &changes, &own, message).await?;
                changes = files.changes("HEAD").await?;
            }
        }
        // Commits on no branch (a detached HEAD) would be lost with the worktree.
        let head = &self.branch.repository.head;
        let args = ["rev-list", "--count", "HEAD", "--not", "--branches", "--remotes", "--tags", head];
        let lost = files.git().text("look for commits", args).await? != "0";
        if changes.repositories > 0 {
            reason.get_or_insert_with(|| "there is a repository within it, which is not looked into".to_owned());
        } else if lost {
            reason.get_or_insert_with(|| "it has commits that are on no branch".to_owned());
        }
        let branch_kept = self.branch.tip().await?.is_some();
        reason = reason.or_else(|| changes.ignored());
        let kept = changes.is_any() || lost;
        Ok(Fate { kept, branch_kept, changed_files: Some(changes.count()), reason: reason.filter(|_| kept) })
    }

    /// What the agent has committed on a branch of its own, or on none, belongs on the task's too, if it goes on from there.
    async fn take_over(&self, files: &Files) -> Result<(), WorkspaceError> {
        let head = files.git().text("read the current commit", ["rev-parse", "HEAD^{commit}"]).await?;
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
        message: &str,
    ) -> Result<Option<String>, WorkspaceError> {
        if is_half_done(own) {
            return Ok(Some("not committed: a merge or a rebase is not finished".to_owned()));
        }
        let head = files.git().text("read the current commit", ["rev-parse", "HEAD^{commit}"]).await?;
        commit_rest(&self.branch, files, changes, Some(&head), message).await
    }

    /// Removes a worktree that was judged not to be kept; git itself refuses if it has become dirty since. The caller
    /// serialises this per repository.
    pub(crate) async fn remove(&self) -> Result<(), WorkspaceError> {
        let remove = ["worktree".into(), "remove".into(), self.root.clone().into_os_string()];
        self.careful().await?.brief().text("remove the worktree", remove).await.map(drop)
    }

    /// git for files that an agent has had in hand.
    async fn careful(&self) -> Result<Git, WorkspaceError> {
        Ok(self.git().settings(&without_filters(&self.branch.repository).await?))
    }

    fn git(&self) -> Git {
        self.branch.repository.git()
    }
}
