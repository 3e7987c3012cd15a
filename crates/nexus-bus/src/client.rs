//! The one door in: what the CLI, MCP and the page ask of a company.

use std::time::Duration;

use nexus_core::api::{
    Accepted, CancelRequest, Cancelled, Departments, ListRequest, TaskPage, TaskStatus, WorkerStats,
};
use nexus_core::event::Event;
use nexus_core::id::TaskId;
use nexus_core::log::LogLine;
use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::task::Submission;
use tokio::sync::mpsc;

/// A connection to a company, by way of its NATS. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {}

/// A page of a task's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPage {
    pub task_id: TaskId,
    pub lines: Vec<LogLine>,
    /// The number of the line to ask for next.
    pub next: u64,
    /// True when the task has ended and these were its last lines.
    pub complete: bool,
}

fn unbuilt<T>() -> Result<T, Refusal> {
    Err(Refusal::new(RefusalKind::Internal, "unbuilt"))
}

impl Client {
    /// Puts work on the ledger. The answer means that it is there; it never waits for the work.
    pub async fn submit(&self, _submission: &Submission) -> Result<Accepted, Refusal> {
        unbuilt()
    }
    /// What is known of a task, named by its id or an unambiguous prefix.
    pub async fn status(&self, _task: &str) -> Result<TaskStatus, Refusal> {
        unbuilt()
    }
    /// Tasks, newest first.
    pub async fn list(&self, _request: &ListRequest) -> Result<TaskPage, Refusal> {
        unbuilt()
    }
    /// Cancels a task; answers when no process of it is alive.
    pub async fn cancel(&self, _request: &CancelRequest) -> Result<Cancelled, Refusal> {
        unbuilt()
    }
    /// Puts a failed or cancelled task back on the queue.
    pub async fn retry(&self, _task: &str) -> Result<Accepted, Refusal> {
        unbuilt()
    }
    pub async fn workers(&self) -> Result<WorkerStats, Refusal> {
        unbuilt()
    }
    pub async fn departments(&self) -> Result<Departments, Refusal> {
        unbuilt()
    }
    /// Lines of a task's log from line `from` (1 is the first), at most `limit`.
    pub async fn log(&self, _task: &str, _from: u64, _limit: usize) -> Result<LogPage, Refusal> {
        unbuilt()
    }
    /// Follows a task's log from line `from` until the task has ended and every line was delivered.
    /// The channel is bounded: a slow reader slows only itself.
    pub async fn follow_log(
        &self,
        _task: &str,
        _from: u64,
    ) -> Result<mpsc::Receiver<Result<LogLine, Refusal>>, Refusal> {
        unbuilt()
    }
    /// Follows the events of one task or (`None`) of all, from now on.
    pub async fn follow_events(&self, _task: Option<TaskId>) -> Result<mpsc::Receiver<Event>, Refusal> {
        unbuilt()
    }
    /// Waits until a task has ended (or the time is up) and returns what is known of it then.
    pub async fn wait(&self, _task: &str, _limit: Option<Duration>) -> Result<TaskStatus, Refusal> {
        unbuilt()
    }
    /// True when a CEO answers within a second.
    pub async fn is_ready(&self) -> bool {
        false
    }
}
