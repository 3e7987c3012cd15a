//! The user's uncommitted changes: looked at, to be said, or made a commit that a task starts from.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nexus_core::id::TaskId;
use nexus_core::uncommitted::{LOOK_LIMIT, NAMED, Uncommitted};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::checkout::{Change, Checkout, New};
use crate::error::WorkspaceError;
use crate::files::{MAX_BYTES, MAX_FILES};
use crate::repository::Repository;

/// A submission and the attempt that follows at once share a look that is no older.
const SHARED: Duration = Duration::from_secs(2);
/// Projects whose last look is remembered.
const PROJECTS: usize = 64;

/// One commit that holds the user's uncommitted changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) commit: String,
    pub(crate) changes: Uncommitted,
}

/// Looks at checkouts: one at a time for each project, shared by all who have asked before it began.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    projects: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<Option<Look>>>>>,
}

#[derive(Debug)]
struct Look {
    began: Instant,
    found: Option<Uncommitted>,
    /// The tasks for which it was made. Each may take it a second time: for its answer, and for its attempt.
    tasks: Vec<TaskId>,
}

impl Looks {
    /// The uncommitted changes of the project, which the task's agent doesn't see. None where there are none, or they could
    /// not be looked at in time.
    pub(crate) async fn look(&self, repository: &Repository, skip: &Path, task: TaskId) -> Option<Uncommitted> {
        let asked = Instant::now();
        let place = {
            let mut projects = self.projects.lock().unwrap_or_else(PoisonError::into_inner);
            if projects.len() >= PROJECTS {
                projects.retain(|_, place| Arc::strong_count(place) > 1);
            }
            Arc::clone(projects.entry(repository.top.join(&repository.prefix)).or_default())
        };
        let looked = tokio::time::timeout(LOOK_LIMIT, async {
            let mut last = place.lock().await;
            if let Some(look) = &mut *last {
                let known = look.tasks.iter().position(|known| *known == task);
                if look.began >= asked {
                    look.tasks.push(task);
                    return look.found.clone();
                }
                if let Some(at) = known.filter(|_| look.began.elapsed() < SHARED) {
                    look.tasks.swap_remove(at);
                    return look.found.clone();
                }
            }
            let began = Instant::now();
            *last = None;
            let found = look(repository, skip).await.unwrap_or_else(|error| {
                tracing::debug!(%error, "uncommitted changes are not looked at");
                None
            });
            *last = Some(Look { began, found: found.clone(), tasks: vec![task] });
            found
        });
        looked.await.unwrap_or_default()
    }
}

async fn look(repository: &Repository, skip: &Path) -> Result<Option<Uncommitted>, WorkspaceError> {
    let changes = Checkout::unattended(repository, skip).changes(New::Brief).await?;
    Ok(Some(sum(repository, &changes, false)).filter(Uncommitted::is_any))
}

/// Counts by whether it is the project's.
fn sum(repository: &Repository, changes: &[Change], included: bool) -> Uncommitted {
    let prefix = repository.prefix.to_string_lossy().into_owned();
    let mut sum = Uncommitted { included, ..Uncommitted::default() };
    for change in changes {
        let name = change.name();
        let own = match name.strip_prefix(&prefix) {
            Some("") => Some("./".to_owned()),
            Some(rest) => Some(rest.to_owned()),
            // A new directory that holds the whole project.
            None if change.is_directory() && prefix.starts_with(&name) => Some("./".to_owned()),
            None => None,
        };
        match own {
            Some(path) => {
                sum.changes += 1;
                if sum.paths.len() < NAMED {
                    sum.paths.push(path);
                }
            }
            None => sum.elsewhere += 1,
        }
    }
    sum
}

/// The ref that keeps a task's snapshot while no branch has it.
pub(crate) fn reference(task: TaskId) -> String {
    format!("refs/nexus/snapshots/{task}")
}

/// The end of the subject of a task's snapshot, by which it is known.
fn mark(task: TaskId) -> String {
    format!(", as task {task} found them")
}

/// Makes a commit of the checkout's state, and a ref that keeps it. None when all is committed. `place` is where files of
/// our own may be; they are gone afterwards.
pub(crate) async fn snapshot(
    repository: &Repository,
    task: TaskId,
    skip: &Path,
    place: &Path,
) -> Result<Option<Snapshot>, WorkspaceError> {
    let checkout = Checkout::unattended(repository, skip);
    let changes = checkout.changes(New::Each).await?;
    // A repository within is none of this one's files.
    let changes: Vec<_> = changes.into_iter().filter(|change| !change.is_directory()).collect();
    if changes.is_empty() {
        return Ok(None);
    }
    if let Some(why) = objection(&checkout, &changes).await? {
        return Err(WorkspaceError::Uncommitted { top: repository.top.clone(), why });
    }
    let index = Scratch(place.with_extension("snapshot"));
    let tree = checkout.tree(&changes, &index.0).await?;
    if repository.resolve(&format!("{}^{{tree}}", repository.head)).await?.as_ref() == Some(&tree) {
        return Ok(None);
    }
    let at = Timestamp::now().strftime("%Y-%m-%d %H:%M UTC");
    let message = format!("Uncommitted changes of {at}{}\n", mark(task));
    let commit = repository.commit(&tree, &[&repository.head], &message, None).await?;
    repository.git().text("keep the snapshot", ["update-ref", &reference(task), &commit]).await?;
    Ok(Some(Snapshot { commit, changes: sum(repository, &changes, true) }))
}

async fn objection(checkout: &Checkout, changes: &[Change]) -> Result<Option<String>, WorkspaceError> {
    if let Some(conflict) = changes.iter().find(|change| change.is_conflict) {
        return Ok(Some(format!("{} has a conflict that is not resolved", conflict.name())));
    }
    if changes.len() > MAX_FILES {
        return Ok(Some(format!("{} files are more than {MAX_FILES} (does .gitignore lack a line?)", changes.len())));
    }
    if checkout.size(changes) > MAX_BYTES {
        let mib = MAX_BYTES >> 20;
        return Ok(Some(format!("the files have more than {mib} MiB (does .gitignore lack a line?)")));
    }
    let filtered = checkout.filtered(changes).await?;
    Ok(filtered.map(|(path, filter)| {
        format!("{path} has to pass your git filter `{filter}`, which is not run unattended; commit that file")
    }))
}

/// True if a commit is the snapshot that was made for this task.
pub(crate) async fn is_snapshot(repository: &Repository, task: TaskId, commit: &str) -> Result<bool, WorkspaceError> {
    let args = ["log", "-1", "--no-show-signature", "--format=%s", "--end-of-options", commit];
    let subject = repository.git().run("read a commit", args).await?;
    Ok(subject.success() && String::from_utf8_lossy(&subject.stdout).trim_end().ends_with(&mark(task)))
}

/// Lets a snapshot go that nothing starts from any more; a branch that has it keeps it.
pub(crate) async fn release(repository: &Repository, task: TaskId) {
    let released = repository.git().text("release the snapshot", ["update-ref", "-d", &reference(task)]).await;
    if let Err(error) = released {
        tracing::warn!(%error, "a snapshot of uncommitted changes is left");
    }
}

/// An index of our own, gone when this is dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The contents of the snapshot of an attempt before.
pub(crate) async fn recall(repository: &Repository, commit: &str) -> Result<Uncommitted, WorkspaceError> {
    let parent = format!("{commit}^");
    let args = ["diff-tree", "-r", "--name-only", "-z", "--no-renames", "--no-ext-diff", &parent, commit];
    let paths = repository.git().list("read the snapshot", args).await?;
    let change = |path| Change { path, in_files: true, is_conflict: false };
    Ok(sum(repository, &paths.into_iter().map(change).collect::<Vec<_>>(), true))
}

/// A look beside other work, given up when this is dropped.
#[derive(Debug)]
pub(crate) struct Looking {
    found: watch::Receiver<Option<Option<Uncommitted>>>,
    task: Option<JoinHandle<()>>,
}

impl Looking {
    pub(crate) fn known(found: Option<Uncommitted>) -> Self {
        Self { found: watch::channel(Some(found)).1, task: None }
    }

    pub(crate) fn begin(looks: &Arc<Looks>, repository: Repository, skip: PathBuf, task: TaskId) -> Self {
        let (sender, found) = watch::channel(None);
        let looks = Arc::clone(looks);
        let task = tokio::spawn(async move {
            let _ = sender.send(Some(looks.look(&repository, &skip, task).await));
        });
        Self { found, task: Some(task) }
    }

    /// The result of the look; waits for it, two seconds at most from when it began.
    pub(crate) async fn found(&self) -> Option<Uncommitted> {
        self.found.clone().wait_for(Option::is_some).await.ok().and_then(|found| found.clone().flatten())
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
