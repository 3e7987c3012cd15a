//! The known state of a task: a fold of its queue entries and events. The read model stores exactly this.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::budget::Spent;
use crate::event::{Event, Outcome, What};
use crate::id::{AgentName, DepartmentName, NodeId, Priority, TaskId, WorkerName};
use crate::run::RunReport;
use crate::task::{Parent, QueueEntry};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Queued,
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Completed, Self::Failed, Self::Cancelled];

    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl std::str::FromStr for Status {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a status: use queued, running, completed, failed or cancelled"))
    }
}

/// A task, folded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskView {
    pub task_id: TaskId,
    pub department: DepartmentName,
    pub status: Status,
    pub task_type: String,
    pub description: String,
    pub project_path: String,
    pub priority: Priority,
    pub preferred_agent: Option<AgentName>,
    /// The agent of the latest attempt.
    pub assigned_agent: Option<AgentName>,
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// When the first attempt started.
    #[schemars(with = "Option<String>")]
    pub started_at: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    pub completed_at: Option<Timestamp>,
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
    /// The latest attempt, from 1; 0 while none has started.
    pub attempt: u32,
    /// As the task asked; the department's policy holds without it.
    pub max_attempts: Option<u32>,
    /// The number of times that an attempt was interrupted through no fault of the agent's, since the task was submitted or put
    /// back by hand.
    pub interruptions: u32,
    /// The worker and node of the attempt that runs, or of the last one.
    pub worker_id: Option<WorkerName>,
    pub node: Option<NodeId>,
    /// Not started before this time: a delayed task, or the backoff of a retry.
    #[schemars(with = "Option<String>")]
    pub not_before: Option<Timestamp>,
    /// A cancel was asked for and its processes are being ended.
    pub cancelling: bool,
    pub result: Option<Outcome>,
    pub error: Option<String>,
    /// The run of the attempt that goes on, or of the last one, as its agent has told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunReport>,
    /// The spending of earlier attempts.
    #[serde(default, skip_serializing_if = "Spent::is_nothing")]
    pub spent: Spent,
    /// When the latest attempt started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub attempt_started_at: Option<Timestamp>,
    /// The task that asked for this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
}

impl TaskView {
    /// The view that a task's first queue entry makes.
    #[must_use]
    pub fn new(entry: &QueueEntry) -> Self {
        let task = &entry.task;
        Self {
            task_id: task.id,
            department: task.department.clone(),
            status: Status::Queued,
            task_type: task.task_type.clone(),
            description: task.description.clone(),
            project_path: task.project_path.clone(),
            priority: task.priority,
            preferred_agent: task.preferred_agent.clone(),
            assigned_agent: None,
            created_at: task.created_at,
            started_at: None,
            completed_at: None,
            updated_at: entry.queued_at,
            attempt: entry.attempt - u32::from(entry.attempt > 0),
            max_attempts: task.max_attempts,
            interruptions: entry.interruptions,
            worker_id: None,
            node: None,
            not_before: None,
            cancelling: false,
            result: None,
            error: None,
            run: None,
            spent: entry.spent,
            attempt_started_at: None,
            parent: task.parent,
        }
    }

    /// Nothing has happened to it but that it was asked for.
    fn is_untouched(&self) -> bool {
        self.status == Status::Queued && self.started_at.is_none() && self.updated_at == self.created_at
    }

    /// A queue entry after the first: the task waits (again).
    pub fn requeue(&mut self, entry: &QueueEntry) {
        // An entry may be stored before the event that caused it is folded; it never revives what has ended.
        if self.status == Status::Queued {
            self.not_before = None;
            self.updated_at = self.updated_at.max(entry.queued_at);
            self.spent = entry.spent;
        }
    }

    /// Folds one event. Events of a task come in the order of the ledger.
    pub fn apply(&mut self, event: &Event) {
        self.updated_at = event.at;
        match &event.what {
            What::Started { node, worker, agent, .. } => {
                self.status = Status::Running;
                self.attempt = event.attempt;
                self.started_at.get_or_insert(event.at);
                self.attempt_started_at = Some(event.at);
                self.assigned_agent = Some(agent.clone());
                self.worker_id = Some(worker.clone());
                self.node = Some(node.clone());
                self.not_before = None;
                // What an earlier attempt left is in its own event, and in the log.
                self.result = None;
                self.error = None;
                self.run = None;
            }
            What::Progressed { run, .. } => self.ran(Some(run)),
            What::CancelRequested { .. } => self.cancelling = true,
            What::Interrupted { reason, run } => {
                self.status = Status::Queued;
                self.interruptions += 1;
                self.error = Some(reason.clone());
                self.ran(run.as_ref());
            }
            What::Deferred { reason, until, run } => {
                self.status = Status::Queued;
                self.not_before = *until;
                self.error = Some(reason.clone());
                self.ran(run.as_ref());
            }
            What::AttemptFailed { failure, outcome, retry_at } => {
                self.status = Status::Queued;
                self.not_before = Some(*retry_at);
                self.error = Some(failure.message.clone());
                self.result = Some(outcome.clone());
                self.ran(outcome.run.as_ref());
            }
            What::Retried { .. } => {
                self.status = Status::Queued;
                // It may have been moved.
                self.department = event.department.clone();
                self.attempt = 0;
                self.interruptions = 0;
                self.completed_at = None;
                self.result = None;
                self.error = None;
                self.run = None;
                self.cancelling = false;
            }
            What::Completed { outcome } => {
                self.end(Status::Completed, event.at, Some(outcome), None);
            }
            What::Failed { failure, outcome } => {
                self.end(Status::Failed, event.at, Some(outcome), Some(failure.message.clone()));
            }
            What::Cancelled { reason, outcome } => {
                self.end(Status::Cancelled, event.at, outcome.as_ref(), Some(reason.clone()));
            }
        }
    }

    /// The latest report of a run holds, but for totals, which never shrink.
    fn ran(&mut self, run: Option<&RunReport>) {
        if let Some(run) = run {
            let before = self.run.take();
            self.run = Some(run.clone().behind(before.as_ref()));
        }
    }

    fn end(&mut self, status: Status, at: Timestamp, outcome: Option<&Outcome>, error: Option<String>) {
        self.status = status;
        self.completed_at = Some(at);
        self.result = outcome.cloned();
        self.ran(outcome.and_then(|outcome| outcome.run.as_ref()));
        self.error = error;
        self.not_before = None;
        self.cancelling = false;
    }
}

/// One message of the ledger that says something of a task.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// From `nexus.queue.>`.
    Entry(QueueEntry),
    /// From `nexus.schedule.>`: an entry that comes due later.
    Scheduled(QueueEntry),
    /// From `nexus.event.>`.
    Event(Event),
}

impl Record {
    #[must_use]
    pub const fn task_id(&self) -> TaskId {
        match self {
            Self::Entry(entry) | Self::Scheduled(entry) => entry.task.id,
            Self::Event(event) => event.task_id,
        }
    }
}

/// Folds one record into what is known of its task. An event of a task that was never queued says nothing.
#[must_use]
pub fn fold(view: Option<TaskView>, record: &Record) -> Option<TaskView> {
    // A delayed task that is asked for twice at a time may be scheduled twice: the second schedule replaces the first
    // one, so what the first one said is forgotten too.
    let view = match record {
        Record::Entry(_) | Record::Scheduled(_) => view.filter(|view| !view.is_untouched()),
        Record::Event(_) => view,
    };
    match (view, record) {
        (None, Record::Entry(entry)) => Some(TaskView::new(entry)),
        // A delayed task; its entry takes the schedule's place when it comes due.
        (None, Record::Scheduled(entry)) => {
            Some(TaskView { not_before: entry.task.not_before, ..TaskView::new(entry) })
        }
        // The event that scheduled it has said until when, but for a delayed task that was put back by hand.
        (Some(mut view), Record::Scheduled(entry)) => {
            if view.status == Status::Queued && view.not_before.is_none() {
                view.not_before = entry.task.not_before.filter(|due| *due > entry.queued_at);
            }
            Some(view)
        }
        (Some(mut view), Record::Entry(entry)) => {
            view.requeue(entry);
            Some(view)
        }
        (Some(mut view), Record::Event(event)) => {
            view.apply(event);
            Some(view)
        }
        (None, Record::Event(_)) => None,
    }
}

#[cfg(test)]
mod tests;
