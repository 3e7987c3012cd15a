//! A task's branch in the project's repository, and what is on it.

use nexus_core::event::{CommitInfo, DiffStat};
use nexus_core::id::TaskId;

use crate::delivery::said;
use crate::error::WorkspaceError;
use crate::patch::DIFF;
use crate::repository::Repository;

/// Commits that a result names; the newest.
const NAMED: &str = "50";
const SUBJECT: usize = 120;

/// `nexus/<task>`, whether it is there or not.
#[derive(Clone, Debug)]
pub(crate) struct Branch {
    pub(crate) repository: Repository,
    pub(crate) task: TaskId,
    pub(crate) name: String,
    /// The commit that it was begun from.
    pub(crate) base: String,
    /// The base is a snapshot of the user's uncommitted changes, which is no part of the task's work.
    pub(crate) is_snapshot: bool,
}

/// From where to where a branch goes, and over how many commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    start: String,
    tip: String,
    count: u64,
}

/// The history of a branch beyond its base.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) base: String,
    pub(crate) head: Option<String>,
    pub(crate) commits: Vec<CommitInfo>,
    pub(crate) count: u64,
    pub(crate) diff: DiffStat,
}

pub(crate) fn name(task: TaskId) -> String {
    format!("nexus/{task}")
}

/// The name where a branch called `nexus` is in the way.
fn other_name(task: TaskId) -> String {
    format!("nexus-{task}")
}

/// Names that the branch has in an agent's repository: it is not told when the project's is called otherwise.
pub(crate) fn names(task: TaskId) -> [String; 2] {
    [name(task), other_name(task)]
}

impl Branch {
    /// The one that is there, the newest if there are several; else the name that it can have.
    pub(crate) async fn of(repository: Repository, task: TaskId, base: String) -> Result<Self, WorkspaceError> {
        Self::with_tip(repository, task, base).await.map(|(branch, _)| branch)
    }

    /// The same, and the commit that it is at, if it is there.
    pub(crate) async fn with_tip(
        repository: Repository,
        task: TaskId,
        base: String,
    ) -> Result<(Self, Option<String>), WorkspaceError> {
        let [usual, other] = names(task);
        let pattern = format!("refs/heads/{usual}*");
        let asked = ["for-each-ref", "--format=%(objectname) %(refname:strip=2)", "refs/heads/nexus*", &pattern];
        // Broken refs are complained of, and left out.
        let printed = repository.git().run("look for the branch", asked).await?;
        let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
        let number = |name: &str| {
            let rest = name.strip_prefix(&usual).or_else(|| name.strip_prefix(&other))?;
            if rest.is_empty() { Some(1) } else { rest.strip_prefix('-')?.parse::<u32>().ok() }
        };
        let listed: Vec<(&str, &str)> = printed.lines().filter_map(|line| line.split_once(' ')).collect();
        let found = listed.iter().filter_map(|(id, name)| Some((number(name)?, name, id))).max();
        let (name, tip) = match found {
            Some((_, name, id)) => ((*name).to_owned(), Some((*id).to_owned())),
            None if listed.iter().any(|(_, name)| *name == "nexus") => (other, None),
            None => (usual, None),
        };
        Ok((Self { repository, task, name, base, is_snapshot: false }, tip))
    }

    pub(crate) fn reference(&self) -> String {
        format!("refs/heads/{}", self.name)
    }

    pub(crate) async fn tip(&self) -> Result<Option<String>, WorkspaceError> {
        self.repository.resolve(&self.reference()).await
    }

    /// Where what is on it begins: its base, or where an agent that has begun anew has left the base's history.
    pub(crate) async fn start(&self, tip: &str) -> Result<String, WorkspaceError> {
        Ok(self.repository.merge_base(&self.base, tip).await?.unwrap_or_else(|| self.base.clone()))
    }

    /// Moves it on to `to`, if that has all that it has; returns whether it is there then.
    pub(crate) async fn advance(&self, to: &str) -> Result<bool, WorkspaceError> {
        let Some(tip) = self.tip().await? else { return Ok(false) };
        if tip != to {
            if !self.repository.is_ancestor(&tip, to).await? {
                return Ok(false);
            }
            self.set(to, &tip).await?;
        }
        Ok(true)
    }

    /// Sets it, if nobody has moved it since it was at `from`.
    pub(crate) async fn set(&self, to: &str, from: &str) -> Result<(), WorkspaceError> {
        let args = ["update-ref", "-m", "nexus: the task's work", &self.reference(), to, from];
        self.repository.git().text("move the branch", args).await.map(drop)
    }

    /// Sets it, if it is still at `from` (none: if it isn't there). Refused in git's words.
    pub(crate) async fn try_set(&self, to: &str, from: Option<&str>) -> Result<Result<(), String>, WorkspaceError> {
        let nothing = "0".repeat(to.len());
        let args = ["update-ref", "-m", "nexus: the task's work", &self.reference(), to, from.unwrap_or(&nothing)];
        let set = self.repository.git().run("move the branch", args).await?;
        Ok(if set.success() { Ok(()) } else { Err(said(&set.stderr)) })
    }

    pub(crate) async fn delete(&self, tip: &str) -> Result<(), WorkspaceError> {
        // With the tip it is deleted only if nobody has moved it since.
        let args = ["update-ref", "-d", &self.reference(), tip];
        self.repository.git().text("delete the branch", args).await.map(drop)
    }

    /// Deletes it if nothing is on it; returns whether it is still there.
    pub(crate) async fn settle(&self) -> Result<bool, WorkspaceError> {
        let tip = self.tip().await?;
        Ok(self.settle_at(tip).await?.is_some())
    }

    /// The same for one whose tip is known. Returns what is on it.
    pub(crate) async fn settle_at(&self, tip: Option<String>) -> Result<Option<Extent>, WorkspaceError> {
        let Some(tip) = tip else { return Ok(None) };
        let extent = self.extent(tip).await?;
        if extent.count == 0 {
            self.delete(&extent.tip).await?;
            return Ok(None);
        }
        Ok(Some(extent))
    }

    async fn extent(&self, tip: String) -> Result<Extent, WorkspaceError> {
        let start = self.start(&tip).await?;
        let count = self.repository.count(&[&format!("{start}..{tip}")]).await?;
        Ok(Extent { start, tip, count })
    }

    pub(crate) async fn history(&self) -> Result<History, WorkspaceError> {
        match self.tip().await? {
            Some(tip) => self.history_of(&self.extent(tip).await?).await,
            None => Ok(self.nothing()),
        }
    }

    pub(crate) async fn history_of(&self, extent: &Extent) -> Result<History, WorkspaceError> {
        let Extent { start: base, tip, count } = extent.clone();
        let range = format!("{base}..{tip}");
        let git = self.repository.git();
        let args = ["log", "--no-show-signature", "--no-color", "--format=%H %s", "-n", NAMED, &range];
        let log = git.text("list the commits", args);
        let args = DIFF.into_iter().chain(["--shortstat", &base, &tip]);
        let (log, sums) = tokio::join!(log, git.text("sum up the changes", args));
        let log = log?;
        let info = |line: &str| {
            let (id, subject) = line.split_once(' ').unwrap_or((line, ""));
            CommitInfo { id: id.to_owned(), subject: subject.chars().take(SUBJECT).collect() }
        };
        let commits = log.lines().map(info).collect();
        // In a partial repository what a file was before may be missing. The commits are there all the same.
        let sums = sums.inspect_err(|error| tracing::warn!(%error, "the changes are not summed up"));
        let diff = stat(&sums.unwrap_or_default());
        Ok(History { base, head: Some(tip), commits, count, diff })
    }

    /// The history of one that isn't there.
    pub(crate) fn nothing(&self) -> History {
        History { base: self.base.clone(), ..History::default() }
    }
}

/// Reads ` 2 files changed, 3 insertions(+), 1 deletion(-)`, of which git leaves out what is none.
pub(crate) fn stat(text: &str) -> DiffStat {
    let number = |word: &str| {
        let part = text.split(',').find(|part| part.contains(word));
        part.and_then(|part| part.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    };
    DiffStat { files: number("file"), insertions: number("insertion"), deletions: number("deletion") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums() {
        let table = [
            ("", (0, 0, 0)),
            (" 1 file changed, 1 insertion(+)", (1, 1, 0)),
            (" 12 files changed, 34 insertions(+), 1 deletion(-)", (12, 34, 1)),
            (" 2 files changed, 5 deletions(-)", (2, 0, 5)),
            (" 1 file changed, 0 insertions(+), 0 deletions(-)", (1, 0, 0)),
        ];
        for (text, (files, insertions, deletions)) in table {
            assert_eq!(stat(text), DiffStat { files, insertions, deletions }, "{text}");
        }
    }
}
