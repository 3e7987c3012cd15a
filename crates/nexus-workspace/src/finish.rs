//! The finishing of an attempt's workspace, and what becomes of it.

use crate::branch::{Branch, History};
use crate::error::WorkspaceError;
use crate::files::{Changes, Files};

/// The end of the attempt, as far as its workspace is concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Finish {
    /// Not well: what is there stays as it is, for the next attempt or for who looks.
    #[default]
    Unfinished,
    /// The task is completed: its branch gets what the agent has committed elsewhere, and what it has left uncommitted
    /// as a commit with this message. Without a message that stays uncommitted.
    Completed { commit: Option<String> },
}

impl Finish {
    /// The message that what is left is to be committed with.
    pub(crate) fn message(&self) -> Option<&str> {
        match self {
            Self::Completed { commit } => commit.as_deref(),
            Self::Unfinished => None,
        }
    }
}

/// The fate of a worktree or a clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    pub(crate) kept: bool,
    pub(crate) branch_kept: bool,
    pub(crate) changed_files: Option<u64>,
    pub(crate) reason: Option<String>,
    /// The history of the branch, if that is known.
    pub(crate) history: Option<History>,
}

impl Fate {
    /// One that nothing is known of, which is kept.
    pub(crate) fn unknown(reason: impl Into<String>) -> Self {
        Self { kept: true, branch_kept: true, reason: Some(reason.into()), ..Self::default() }
    }
}

/// Commits what differs from `head`, the commit that the files are of, onto the branch, whose newest commit is `tip`. Says
/// why not.
pub(crate) async fn commit_rest(
    branch: &Branch,
    files: &Files,
    changes: &Changes,
    tip: Option<&str>,
    head: &str,
    message: &str,
) -> Result<Result<String, String>, WorkspaceError> {
    if tip.unwrap_or(&branch.base) != head {
        return Ok(Err("not committed: its HEAD is elsewhere than its branch".to_owned()));
    }
    if let Some(objection) = files.objection(changes).await? {
        return Ok(Err(objection));
    }
    let tree = files.tree(changes, head).await?;
    if branch.repository.resolve(&format!("{head}^{{tree}}")).await?.as_ref() == Some(&tree) {
        return Ok(Ok(head.to_owned()));
    }
    let commit = branch.repository.commit(&tree, &[head], message, None).await?;
    Ok(branch.try_set(&commit, tip).await?.map(|()| commit).map_err(|said| format!("not committed: {said}")))
}
