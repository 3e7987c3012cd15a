//! Tasks that are asked for on behalf of others: how the tree stands on the ledger, and what that allows.

use nexus_core::company::Company;
use nexus_core::id::{DepartmentName, TaskId};
use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::task::{Parent, Task};
use nexus_core::tree::{self, Asker, Link, Standing};
use tokio::sync::OwnedMutexGuard;

use crate::historian::refused;
use crate::node::Node;

/// The place of a new task in its tree. As long as this is held nobody else asks for any: what is counted stays as it is.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) parent: Parent,
    _alone: [OwnedMutexGuard<()>; 2],
}

/// The task that asks for another one.
pub(super) async fn known(node: &Node, asker: TaskId) -> Result<Task, Refusal> {
    node.bus.known(asker).await?.ok_or_else(|| Refusal::not_found(&asker.to_string()))
}

/// The project's directory, with no link in it: it has to be that of the task that asks, or lie below it. Whatever else is
/// named gets one and the same answer, whether it is there or not.
pub(super) async fn project(node: &Node, path: &str, asker: &Task) -> Result<String, Refusal> {
    let own = &asker.project_path;
    let refused = || {
        Refusal::invalid(format!(
            "project_path \"{path}\" is no directory at or below {own}, the project of the task {} that asks for this",
            asker.id
        ))
        .with_help("leave project_path out to work on the same project, or name a directory within it")
    };
    let found = tokio::fs::canonicalize(path).await.map_err(|_| refused())?;
    let within = tokio::fs::canonicalize(own).await.map_err(|_| refused())?;
    if !found.starts_with(within) || !tokio::fs::metadata(&found).await.is_ok_and(|found| found.is_dir()) {
        return Err(refused());
    }
    node.projects.check(&found).await?;
    found.into_os_string().into_string().map_err(|_| refused())
}

/// The place of one more task that `task` asks for.
pub(super) async fn admit(
    node: &Node,
    task: Task,
    company: &Company,
    department: &DepartmentName,
    workers: u32,
) -> Result<Family, Refusal> {
    tree::may_ask(company, &task.department, department)?;
    let asker = task.id;
    let (root, depth) = (tree::root(&task), task.parent.map_or(0, |parent| parent.depth));
    let alone = node.trees.alone(root).await;
    // Of two trees, the second to ask is to see what the first has asked for.
    let first = node.trees.alone(TaskId::from_uuid(uuid::Uuid::nil())).await;
    let way = way(node, task).await?;
    // What was accepted in this tree is waited for, as whoever was alone with it has said that it was written.
    let history = node.historian.current().await?;
    let children = history.children(asker).await.map_err(|error| refused(&error))?;
    let tree = history.tree_size(root).await.map_err(|error| refused(&error))?;
    // Those that other nodes' workers hold leave this one's free.
    let waiting = history.waiting(department).await.map_err(|error| refused(&error))?;
    let waiting =
        waiting.into_iter().filter(|view| view.node.as_ref() == Some(&node.id)).map(|view| view.task_id).collect();
    let parent = Asker { way, root, depth, children, tree, waiting }.admit(&company.delegation, department, workers)?;
    Ok(Family { parent, _alone: [alone, first] })
}

/// From a task up to its tree's first, as far as they are known: what ended long ago is forgotten.
async fn way(node: &Node, task: Task) -> Result<Vec<Link>, Refusal> {
    let (mut way, mut next) = (Vec::new(), Some(task));
    while let Some(task) = next {
        let last = node.bus.last_event(task.id).await?;
        let standing = Standing::of(last.as_ref().map(|last| &last.event));
        way.push(Link { task: task.id, department: task.department, standing });
        next = match task.parent {
            Some(parent) => node.bus.known(parent.task_id).await?,
            None => None,
        };
    }
    Ok(way)
}

/// Refuses to put a task back whose parent has ended such that it would be cancelled at once.
pub(super) async fn goes_on(node: &Node, task: &Task) -> Result<(), Refusal> {
    let Some(parent) = task.parent else { return Ok(()) };
    let last = node.bus.last_event(parent.task_id).await?;
    let reason = match Standing::of(last.as_ref().map(|last| &last.event)) {
        Standing::Ended(how) => tree::orphaned(parent.task_id, how),
        Standing::Ending => Some(format!("its parent {} is being cancelled", parent.task_id)),
        Standing::Waiting | Standing::Running => None,
    };
    let Some(reason) = reason else { return Ok(()) };
    let message = format!("task {} can't be put back: {reason}", task.id);
    Err(Refusal::new(RefusalKind::Conflict, message)
        .with_help(format!("put the parent back: `nexus retry {}`", parent.task_id)))
}
