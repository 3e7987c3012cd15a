//! Removes what ended tasks have left where nothing would be lost with it, and says of the rest why it stays.

use std::fs;
use std::path::Path;

use nexus_core::id::TaskId;

use crate::branch::Branch;
use crate::combine::{Combined, beyond_snapshot};
use crate::error::WorkspaceError;
use crate::finish::Finish;
use crate::layers::Layers;
use crate::lock::RepositoryLock;
use crate::repository::Repository;
use crate::uncommitted::{is_snapshot, release};
use crate::workspaces::Workspaces;
use crate::worktree::Worktree;

/// The remains of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Its workspace, if there is one.
    pub workspace: Option<Left>,
    /// Its branch, if there is one.
    pub branch: Option<Left>,
}

/// One thing that was left, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its path or name.
    pub name: String,
    /// True if it goes, or would go if it weren't a rehearsal.
    pub removed: bool,
    /// Why so.
    pub reason: String,
}

impl Left {
    fn kept(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { name: name.into(), removed: false, reason: reason.into() }
    }

    fn gone(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { name: name.into(), removed: true, reason: reason.into() }
    }
}

/// A task's repository, in which no attempt begins while this lives: so what is known of the task from now on holds.
#[derive(Debug)]
pub struct Sweep<'a> {
    workspaces: &'a Workspaces,
    task: TaskId,
    repository: Option<Repository>,
    _lock: Option<RepositoryLock>,
}

impl Workspaces {
    /// The tasks that have workspaces.
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskId> {
        let names = fs::read_dir(&self.root).into_iter().flatten().flatten().map(|entry| entry.file_name());
        names.filter_map(|name| name.to_str()?.parse().ok()).collect()
    }

    /// True when there is a workspace of this task, or a snapshot that it would start from again.
    #[must_use]
    pub fn has(&self, task: TaskId) -> bool {
        // A snapshot is kept for a next attempt, without a workspace too.
        self.has_place(task) || self.bases.has_snapshot(task)
    }

    pub(crate) fn has_place(&self, task: TaskId) -> bool {
        self.place_of(task).symlink_metadata().is_ok() || Layers::of(&self.root, task).is_layered()
    }

    /// Gets ready to clean up after a task. That it has ended is to be found out after this.
    pub async fn sweep(&self, task: TaskId, project: &Path) -> Result<Sweep<'_>, WorkspaceError> {
        let repository = match project.is_dir() {
            true => Repository::find_for(project, task).await?,
            false => None,
        };
        let lock = match &repository {
            Some(repository) => Some(self.locks.lock_or_refuse(&repository.common).await?),
            None => None,
        };
        Ok(Sweep { workspaces: self, task, repository, _lock: lock })
    }
}

impl Sweep<'_> {
    /// Removes what holds nothing new; in a rehearsal only says what that is. `base` is the commit that the task's branch
    /// started from, as its result says.
    pub async fn clean(self, base: Option<&str>, rehearsal: bool) -> Result<Cleaned, WorkspaceError> {
        let root = self.workspaces.place_of(self.task);
        let known = || self.workspaces.bases.get(self.task);
        let base = base.map(str::to_owned).or_else(known);
        let branch = match self.repository.clone() {
            Some(repository) => {
                let base = base.unwrap_or_else(|| repository.head.clone());
                let branch = Branch::of(repository, self.task, base).await?;
                let is_snapshot = is_snapshot(&branch.repository, self.task, &branch.base).await?;
                Some(Branch { is_snapshot, ..branch })
            }
            None => None,
        };
        let workspace = match self.workspaces.has_place(self.task) {
            true => Some(self.workspace(branch.as_ref(), &root, rehearsal).await?),
            false => None,
        };
        let is_kept = workspace.as_ref().is_some_and(|left| !left.removed);
        let left = match &branch {
            Some(branch) => branch_of(branch, &root, is_kept, rehearsal).await?,
            None => None,
        };
        if !rehearsal && !is_kept && left.as_ref().is_none_or(|left| left.removed) {
            self.workspaces.bases.forget(self.task);
        }
        // A branch that is kept has the snapshot in its history.
        if let Some(branch) = branch.filter(|branch| branch.is_snapshot && !rehearsal && !is_kept) {
            release(&branch.repository, self.task).await;
        }
        Ok(Cleaned { workspace, branch: left })
    }
}

impl Sweep<'_> {
    async fn workspace(&self, branch: Option<&Branch>, root: &Path, rehearsal: bool) -> Result<Left, WorkspaceError> {
        let name = root.display().to_string();
        let is_layered = Layers::of(&self.workspaces.root, self.task).is_layered();
        let is_plain = !is_layered && root.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        if is_plain && fs::read_dir(root).is_ok_and(|mut dir| dir.next().is_none()) {
            if !rehearsal {
                fs::remove_dir(root).map_err(WorkspaceError::io("remove", root))?;
            }
            return Ok(Left::gone(name, "it is empty"));
        }
        let Some(branch) = branch else {
            return Ok(Left::kept(name, "its project's repository is not there to compare it with"));
        };
        if branch.repository.own_of(root).is_some() {
            let worktree = Worktree { branch: branch.clone(), root: root.to_owned() };
            let fate = worktree.judge(&Finish::Unfinished).await?;
            if fate.kept {
                return Ok(Left::kept(name, fate.reason.unwrap_or_else(|| uncommitted(fate.changed_files))));
            }
            if !rehearsal {
                worktree.remove().await?;
            }
            return Ok(Left::gone(name, "all of it is committed"));
        }
        if !is_layered && !root.join(".git").symlink_metadata().is_ok_and(|git| git.is_dir()) {
            return Ok(Left::kept(name, "it is no git repository: nothing tells what in it is new"));
        }
        let clone = self.workspaces.clone_of(self.task, branch.clone(), root);
        let _claim = match clone.layers.claim() {
            Ok(claim) => claim,
            Err(in_use) => return Ok(Left::kept(name, in_use.to_string())),
        };
        if let Some(objection) = clone.objection().await? {
            return Ok(Left::kept(name, objection));
        }
        if !rehearsal && !clone.remove().await {
            return Ok(Left::kept(name, "it could not be removed"));
        }
        Ok(Left::gone(name, "all of it is committed"))
    }
}

fn uncommitted(files: Option<u64>) -> String {
    match files {
        Some(1) => "1 file is not committed".to_owned(),
        Some(files) => format!("{files} files are not committed"),
        None => "it can't be compared".to_owned(),
    }
}

async fn branch_of(
    branch: &Branch,
    root: &Path,
    workspace_kept: bool,
    rehearsal: bool,
) -> Result<Option<Left>, WorkspaceError> {
    let Some(tip) = branch.tip().await? else { return Ok(None) };
    let name = branch.name.clone();
    if workspace_kept {
        return Ok(Some(Left::kept(name, "its workspace is kept")));
    }
    if let Some(place) = checked_out(branch, root).await? {
        return Ok(Some(Left::kept(name, format!("it is checked out in {place}"))));
    }
    // Other tasks' branches may go too: what is only there is nowhere else.
    let mut elsewhere = vec![tip.as_str(), "--not", "HEAD", "--exclude=nexus/*", "--branches", "--remotes", "--tags"];
    // A snapshot is no work of the task's, and what it holds is in the user's checkout.
    elsewhere.extend(branch.is_snapshot.then_some(branch.base.as_str()));
    let own = branch.repository.count(&elsewhere).await?;
    let reason = match own {
        0 => "other branches have all of it",
        _ if is_repeated(branch, &tip).await? => "the current branch has all its changes, in commits of its own",
        1 => return Ok(Some(Left::kept(name, "1 commit of it is on no other branch"))),
        own => return Ok(Some(Left::kept(name, format!("{own} commits of it are on no other branch")))),
    };
    if !rehearsal {
        branch.delete(&tip).await?;
    }
    Ok(Some(Left::gone(name, reason)))
}

/// True if each commit's change is one of the current branch's, as after a rebase. A merge has none that could be compared.
async fn is_repeated(branch: &Branch, tip: &str) -> Result<bool, WorkspaceError> {
    if branch.is_snapshot {
        // The same change looks otherwise beside the user's edits: it is there if making it anew changes nothing.
        let head = &branch.repository.head;
        return Ok(beyond_snapshot(branch, head, tip).await.is_ok_and(|made| made == Combined::Commit(head.clone())));
    }
    if branch.repository.count(&["--merges", tip, "--not", "HEAD"]).await? > 0 {
        return Ok(false);
    }
    let cherry = branch.repository.git().text("compare the commits", ["cherry", "HEAD", tip]).await?;
    Ok(!cherry.is_empty() && cherry.lines().all(|line| line.starts_with("- ")))
}

/// Where else than in its own workspace somebody works on it.
async fn checked_out(branch: &Branch, root: &Path) -> Result<Option<String>, WorkspaceError> {
    let args = ["worktree", "list", "--porcelain", "-z"];
    let listed = branch.repository.git().list("list the worktrees (which needs git 2.36 or newer)", args).await?;
    let reference = branch.reference();
    let mut place = String::new();
    for line in listed {
        let line = String::from_utf8_lossy(&line).into_owned();
        if let Some(path) = line.strip_prefix("worktree ") {
            path.clone_into(&mut place);
        } else if line.strip_prefix("branch ") == Some(&reference) && Path::new(&place) != root {
            return Ok(Some(place));
        }
    }
    Ok(None)
}
