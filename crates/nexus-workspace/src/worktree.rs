//! Git worktrees: one per task, on a branch of its own, in the workspaces' directory.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nexus_core::id::TaskId;

use crate::error::WorkspaceError;
use crate::git::Git;

/// A repository with at least one commit, and where in it the project is.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    /// The directory that all its worktrees share; it names the repository.
    pub(crate) common: PathBuf,
    /// The root of the user's checkout.
    pub(crate) top: PathBuf,
    /// From there to the project; empty for the root itself.
    pub(crate) prefix: PathBuf,
    head: String,
}

/// A task's worktree.
#[derive(Clone, Debug)]
pub(crate) struct Worktree {
    pub(crate) repository: Repository,
    pub(crate) root: PathBuf,
    pub(crate) branch: String,
}

/// What became of a worktree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    pub(crate) kept: bool,
    pub(crate) branch_kept: bool,
    pub(crate) changed_files: Option<u64>,
}

impl Repository {
    /// The repository that `project` is in; none when there is none, or none with a commit.
    pub(crate) async fn find(project: &Path) -> Result<Option<Self>, WorkspaceError> {
        let git = Git::at(project);
        let doing = "look for the repository";
        let asked = ["rev-parse", "--path-format=absolute", "--git-common-dir", "--show-toplevel", "--show-prefix"];
        let captured = git.run(doing, asked).await?;
        if !captured.success() {
            let none = String::from_utf8_lossy(&captured.stderr).contains("not a git repository");
            return if none { Ok(None) } else { Err(git.refused(doing, &captured)) };
        }
        let text = String::from_utf8_lossy(&captured.stdout).into_owned();
        let mut lines = text.lines().map(PathBuf::from);
        let mut next = || lines.next().unwrap_or_default();
        let (common, top, prefix) = (next(), next(), next());
        let head = git.run("read the current commit", ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).await?;
        if !head.success() {
            return Ok(None);
        }
        let head = String::from_utf8_lossy(&head.stdout).trim().to_owned();
        Ok(Some(Self { common, top, prefix, head }))
    }

    /// The task's worktree: the one that is there from an attempt before, or a new one. None when something else is there.
    /// The caller serialises this per repository: git's own locks make concurrent calls fail.
    pub(crate) async fn worktree(self, root: &Path, task: TaskId) -> Result<Option<Worktree>, WorkspaceError> {
        let worktree = Worktree { root: root.to_owned(), branch: format!("nexus/{task}"), repository: self };
        // An empty one is the rest of a making that was cut off, or what an agent has emptied: the branch has the rest.
        if std::fs::remove_dir(root).is_err() && root.symlink_metadata().is_ok() {
            match worktree.look().await? {
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
}

enum Look {
    Ready,
    /// Its making was cut off: nobody has worked in it yet.
    HalfMade,
    /// Not a worktree of this repository.
    Other,
}

impl Worktree {
    /// The project within the worktree.
    pub(crate) fn project(&self) -> PathBuf {
        self.root.join(&self.repository.prefix)
    }

    async fn look(&self) -> Result<Look, WorkspaceError> {
        if !self.root.join(".git").is_file() {
            return Ok(Look::Other);
        }
        let asked = ["rev-parse", "--path-format=absolute", "--git-common-dir", "--git-dir"];
        let captured = Git::at(&self.root).run("look at the worktree", asked).await?;
        let text = String::from_utf8_lossy(&captured.stdout).into_owned();
        let mut lines = text.lines().map(Path::new);
        match (lines.next(), lines.next()) {
            (Some(common), Some(own)) if captured.success() && common == self.repository.common => {
                // `git worktree add` holds this lock until all files are there.
                let lock = std::fs::read_to_string(own.join("locked")).unwrap_or_default();
                Ok(if lock.trim() == "initializing" { Look::HalfMade } else { Look::Ready })
            }
            _ => Ok(Look::Other),
        }
    }

    /// Only for one that is half made or not there.
    fn force_remove(&self) -> [OsString; 5] {
        let [worktree, remove, force] = ["worktree", "remove", "--force"].map(OsString::from);
        [worktree, remove, force.clone(), force, self.root.clone().into_os_string()]
    }

    async fn add(&self) -> Result<(), WorkspaceError> {
        let root = self.root.clone().into_os_string();
        if self.tip().await?.is_some() {
            // From an attempt before, whose directory is gone; git may still have it on record, which would be in the way.
            self.git().run("forget the former worktree", self.force_remove()).await?;
            let add = ["worktree".into(), "add".into(), "--quiet".into(), root, self.branch.clone().into()];
            return self.git().text("add a worktree", add).await.map(drop);
        }
        let add = [
            "worktree".into(),
            "add".into(),
            "--quiet".into(),
            "--no-track".into(),
            "-b".into(),
            self.branch.clone().into(),
            root,
            self.repository.head.clone().into(),
        ];
        self.git().text("add a worktree", add).await.map(drop)
    }

    /// Looks whether there is anything to lose, which keeps the worktree.
    pub(crate) async fn judge(&self) -> Result<Fate, WorkspaceError> {
        let branch_kept = self.tip().await?.is_some();
        if self.root.symlink_metadata().is_err() {
            return Ok(Fate { kept: false, branch_kept, changed_files: None });
        }
        let here = Git::at(&self.root);
        let asked =
            ["status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=dirty"];
        let status = here.text("read the status", asked).await?;
        let changed = status.split('\0').filter(|entry| !entry.is_empty()).count() as u64;
        // Commits on no branch (a detached HEAD) would be lost with the worktree.
        let asked =
            ["rev-list", "--count", "HEAD", "--not", "--branches", "--remotes", "--tags", &self.repository.head];
        let kept = changed > 0 || here.text("look for commits", asked).await? != "0";
        Ok(Fate { kept, branch_kept, changed_files: Some(changed) })
    }

    /// Removes a worktree that was judged not to be kept; git itself refuses if it has become dirty since. The caller
    /// serialises this per repository.
    pub(crate) async fn remove(&self, judged: Fate) -> Result<Fate, WorkspaceError> {
        let remove = ["worktree".into(), "remove".into(), self.root.clone().into_os_string()];
        self.git().text("remove the worktree", remove).await?;
        Ok(Fate { branch_kept: self.finish_branch().await?, ..judged })
    }

    /// Deletes the branch if everything on it is on another branch too; returns whether it is still there.
    pub(crate) async fn finish_branch(&self) -> Result<bool, WorkspaceError> {
        let Some(tip) = self.tip().await? else { return Ok(false) };
        let exclude = format!("--exclude={}", self.branch);
        let own = [
            "rev-list",
            "--count",
            &tip,
            "--not",
            &self.repository.head,
            &exclude,
            "--branches",
            "--remotes",
            "--tags",
        ];
        if self.git().text("look for commits", own).await? != "0" {
            return Ok(true);
        }
        // With the tip it is deleted only if nobody has moved it since.
        let reference = format!("refs/heads/{}", self.branch);
        self.git().text("delete the branch", ["update-ref", "-d", &reference, &tip]).await?;
        Ok(false)
    }

    pub(crate) async fn tip(&self) -> Result<Option<String>, WorkspaceError> {
        let reference = format!("refs/heads/{}", self.branch);
        let captured = self.git().run("read the branch", ["rev-parse", "--verify", "--quiet", &reference]).await?;
        Ok(captured.success().then(|| String::from_utf8_lossy(&captured.stdout).trim().to_owned()))
    }

    fn git(&self) -> Git {
        Git::at(&self.repository.top)
    }
}
