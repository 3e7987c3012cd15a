//! How an attempt's workspace is finished, and what becomes of it.

use std::path::Path;

use crate::branch::Branch;
use crate::error::WorkspaceError;
use crate::files::{Changes, Files};

/// How the attempt ended, as far as its workspace is concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Finish {
    /// Not well: what is there stays as it is, for the next attempt or for who looks.
    #[default]
    Unfinished,
    /// The task is completed: its branch gets what the agent has committed elsewhere, and what it has left uncommitted
    /// as a commit with this message. Without a message that stays uncommitted.
    Completed { commit: Option<String> },
}

/// What became of a worktree or a clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    pub(crate) kept: bool,
    pub(crate) branch_kept: bool,
    pub(crate) changed_files: Option<u64>,
    pub(crate) reason: Option<String>,
}

impl Fate {
    /// One that nothing is known of, which is kept.
    pub(crate) fn unknown(reason: impl Into<String>) -> Self {
        Self { kept: true, branch_kept: true, changed_files: None, reason: Some(reason.into()) }
    }
}

/// What git leaves in its directory while something is half done, whose files are no result.
const HALF_DONE: [&str; 5] = ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply"];

pub(crate) fn is_half_done(git_dir: &Path) -> bool {
    HALF_DONE.iter().any(|name| git_dir.join(name).symlink_metadata().is_ok())
}

/// Commits what differs from the branch's tip, where `head` is the commit that the files are of. Says why not.
pub(crate) async fn commit_rest(
    branch: &Branch,
    files: &Files,
    changes: &Changes,
    head: Option<&str>,
    message: &str,
) -> Result<Option<String>, WorkspaceError> {
    let tip = branch.tip().await?;
    let Some(tip) = tip.filter(|tip| head == Some(tip.as_str())) else {
        return Ok(Some("not committed: its HEAD is elsewhere than its branch".to_owned()));
    };
    if let Some(objection) = files.objection(changes).await? {
        return Ok(Some(objection));
    }
    let tree = files.tree(changes).await?;
    if branch.repository.resolve(&format!("{tip}^{{tree}}")).await?.as_ref() != Some(&tree) {
        let commit = branch.repository.commit(&tree, &[&tip], message, None).await?;
        branch.set(&commit, &tip).await?;
    }
    Ok(None)
}
