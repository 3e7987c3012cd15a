//! Trees of tasks that agents have asked for: who may ask for one more, and what becomes of children whose parent ends.

use crate::company::Delegation;
use crate::event::{Event, What};
use crate::id::{DepartmentName, TaskId};
use crate::refusal::{Refusal, RefusalKind};
use crate::task::{Parent, Task};
use crate::view::{Status, TaskView};

mod reach;

pub use reach::may_ask;

/// The state of a task, as far as those that it asks for are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Waiting,
    Running,
    /// A cancel was asked for.
    Ending,
    Ended(Status),
}

impl Standing {
    /// By the task's last event. `None`: nothing has happened to it yet.
    #[must_use]
    pub const fn of(last: Option<&Event>) -> Self {
        let Some(event) = last else { return Self::Waiting };
        match event.what {
            What::Started { .. } | What::Progressed { .. } => Self::Running,
            What::CancelRequested { .. } => Self::Ending,
            What::Completed { .. } => Self::Ended(Status::Completed),
            What::Failed { .. } => Self::Ended(Status::Failed),
            What::Cancelled { .. } => Self::Ended(Status::Cancelled),
            What::Interrupted { .. } | What::Deferred { .. } | What::AttemptFailed { .. } | What::Retried { .. } => {
                Self::Waiting
            }
        }
    }

    /// True if its children end with it.
    const fn takes_along(self) -> bool {
        matches!(self, Self::Ending | Self::Ended(Status::Failed | Status::Cancelled))
    }

    const fn said(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Ending => "being cancelled",
            Self::Ended(status) => status.as_str(),
        }
    }
}

/// A task of the way from the one that asks up to the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub task: TaskId,
    pub department: DepartmentName,
    pub standing: Standing,
}

/// The tree that one more task is asked for in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The one that asks, its parent, and so on up to the first, as far as they are still known. Never empty.
    pub way: Vec<Link>,
    /// The tree's first task.
    pub root: TaskId,
    /// The number of tasks above the one that asks.
    pub depth: u32,
    /// Tasks that it has asked for before, however they ended.
    pub children: u64,
    /// Tasks below the first one, however they ended.
    pub tree: u64,
    /// Tasks of the department that is asked, of any tree, which run and have asked for others that wait or run.
    pub waiting: Vec<TaskId>,
}

impl Asker {
    /// Where one more task stands in it, which is to be done in a department with so many workers.
    ///
    /// # Errors
    /// Why there can't be one.
    pub fn admit(&self, limits: &Delegation, department: &DepartmentName, workers: u32) -> Result<Parent, Refusal> {
        let [parent, above @ ..] = self.way.as_slice() else {
            return Err(Refusal::new(RefusalKind::Internal, "nobody asks for this task"));
        };
        if parent.standing != Standing::Running {
            let message = format!("the parent task {} is {}", parent.task, parent.standing.said());
            return Err(
                Refusal::new(RefusalKind::Conflict, message).with_help("only a running task can ask for others")
            );
        }
        if let Some(link) = above.iter().find(|link| link.standing.takes_along()) {
            let message = format!("task {}, on whose behalf this is asked for, is {}", link.task, link.standing.said());
            return Err(Refusal::new(RefusalKind::Conflict, message).with_help("all tasks below it are ended with it"));
        }
        let counts = [
            (u64::from(self.depth), limits.max_depth, "max_depth", "tasks above this one"),
            (self.children, limits.max_children, "max_children", "tasks that this one has asked for"),
            (self.tree, limits.max_tree, "max_tree", "tasks below the tree's first one"),
        ];
        for (count, limit, name, of_what) in counts {
            if count >= u64::from(limit) {
                let message = format!("there are {count} {of_what} already, and [delegation] {name} is {limit}");
                return Err(Refusal::new(RefusalKind::Limit, message).with_help(format!(
                    "do the work in this task, or have {name} raised under [delegation] in nexus.toml"
                )));
            }
        }
        let holding = self.way.iter().filter(|link| link.department == *department);
        let holding: Vec<String> =
            holding.filter(|link| link.standing == Standing::Running).map(|link| link.task.to_string()).collect();
        if holding.len() >= workers as usize {
            let message = format!(
                "the department {department} has {workers} workers, and all of them are taken by tasks that this one is \
                 asked for by ({}): it would wait for them, and they for it",
                holding.join(", ")
            );
            return Err(Refusal::new(RefusalKind::Limit, message).with_help(format!(
                "do the work in this task, ask another department, or have `workers` raised in \
                 departments/{department}.toml"
            )));
        }
        // Of several trees each could wait for a worker that another one holds.
        let own = (parent.department == *department).then_some(parent.task);
        let mut waiting: Vec<TaskId> = self.waiting.iter().copied().chain(own).collect();
        waiting.sort_unstable();
        waiting.dedup();
        if waiting.len() >= workers as usize {
            let waiting: Vec<String> = waiting.iter().map(TaskId::to_string).collect();
            let message = format!(
                "the department {department} has {workers} workers, and all of them would be taken by tasks that have asked \
                 for others and may wait for them ({}): this one might never be done",
                waiting.join(", ")
            );
            return Err(Refusal::new(RefusalKind::Limit, message).with_help(format!(
                "do the work in this task, ask again when one of those has ended, or have `workers` raised in \
                 departments/{department}.toml"
            )));
        }
        Ok(Parent { task_id: parent.task, root: self.root, depth: self.depth + 1 })
    }
}

/// The first task of the tree that a task stands in.
#[must_use]
pub fn root(task: &Task) -> TaskId {
    task.parent.map_or(task.id, |parent| parent.root)
}

/// Why a task is cancelled whose parent has ended like this; none: it goes on.
#[must_use]
pub fn orphaned(parent: TaskId, how: Status) -> Option<String> {
    match how {
        Status::Cancelled => Some(format!("its parent {parent} was cancelled")),
        Status::Failed => Some(format!("its parent {parent} failed")),
        Status::Queued | Status::Running | Status::Completed => None,
    }
}

/// Those of `tree` that are below `of`, at any depth: every task before its own children.
#[must_use]
pub fn below(of: TaskId, tree: Vec<TaskView>) -> Vec<TaskView> {
    let mut rest = tree;
    let mut found: Vec<TaskView> = Vec::new();
    let mut above = vec![of];
    while !above.is_empty() {
        let is_next = |view: &TaskView| view.parent.is_some_and(|parent| above.contains(&parent.task_id));
        let (next, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(is_next);
        rest = others;
        above = next.iter().map(|view| view.task_id).collect();
        found.extend(next);
    }
    found
}

#[cfg(test)]
mod tests;
