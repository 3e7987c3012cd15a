//! Answers of tools: the shapes that clients rely on. Keys are added, never renamed.

use nexus_core::api::{Accepted, DepartmentInfo, Departments, Live, ProjectChanges, TaskStatus};
use nexus_core::budget::Usd;
use nexus_core::event::Outcome;
use nexus_core::id::{DepartmentName, TaskId, WorkerName};
use nexus_core::log::LogLine;
use nexus_core::message::Message;
use nexus_core::run::RunReport;
use nexus_core::uncommitted::Uncommitted;
use nexus_core::view::{Status, TaskView};
use schemars::JsonSchema;
use serde::Serialize;

/// The `status` of an answer that is not about one task's state.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Said {
    Success,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Delegated {
    pub status: Said,
    pub task_id: TaskId,
    pub message: String,
    /// The agent that was asked for, or "auto".
    pub assigned_agent: String,
    pub task_type: String,
    /// A text such as "about 12 s", from the department's latest tasks of this type, or "unknown".
    pub estimated_duration: String,
    pub department: DepartmentName,
    /// The task's output as a resource.
    pub log_uri: String,
    /// True when the idempotency key had been seen: this is the task of that submission.
    pub duplicate: bool,
    /// The project's uncommitted changes, where the agent works on a commit: left out, or included. Null where there are
    /// none.
    pub uncommitted: Option<Uncommitted>,
}

impl Delegated {
    /// The same, saying what of the project's uncommitted changes is left out or included.
    pub(crate) fn with_changes(self, changes: Option<ProjectChanges>) -> Self {
        let Some(ProjectChanges { project_path, uncommitted: Some(found), .. }) = changes else { return self };
        let message = format!("{}; {}", self.message, about_changes(&found, &project_path));
        Self { message, uncommitted: Some(found), ..self }
    }

    pub(crate) fn new(accepted: Accepted, message: &str) -> Self {
        Self {
            status: Said::Success,
            task_id: accepted.task_id,
            message: accepted.note.map_or_else(|| message.to_owned(), |note| format!("{message}; {note}")),
            assigned_agent: accepted.assigned_agent.map_or_else(|| "auto".to_owned(), String::from),
            task_type: accepted.task_type,
            estimated_duration: accepted.estimated_ms.map_or_else(|| "unknown".to_owned(), about),
            department: accepted.department,
            log_uri: log_uri(accepted.task_id),
            duplicate: accepted.duplicate,
            uncommitted: None,
        }
    }
}

/// One task. Times are RFC 3339, UTC.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TaskAnswer {
    pub status: Status,
    pub task_id: TaskId,
    pub task_type: String,
    pub description: String,
    pub preferred_agent: Option<String>,
    pub created_at: String,
    pub started_at: Option<String>,
    pub completed_at: Option<String>,
    /// The result of the latest attempt.
    pub result: Option<Outcome>,
    /// Why it failed or was cancelled; of a task that waits again, why its last attempt ended.
    pub error: Option<String>,
    pub department: DepartmentName,
    /// The latest attempt, from 1; 0 while none has started.
    pub attempt: u32,
    pub max_attempts: Option<u32>,
    /// "<department>/<worker>" of the latest attempt.
    pub worker_id: Option<String>,
    pub updated_at: String,
    /// The agent of the latest attempt.
    pub assigned_agent: Option<String>,
    pub project_path: String,
    pub priority: u8,
    /// It waits until this time: a delayed task, or the pause before a retry.
    pub not_before: Option<String>,
    /// It is being cancelled.
    pub cancelling: bool,
    /// The use of the model by the latest attempt, where its agent reports that; while it runs too.
    pub usage: Option<Usage>,
    /// The run: its session, model, tools, warnings.
    pub run: Option<RunReport>,
    /// The task that asked for this one.
    pub parent_task_id: Option<TaskId>,
    /// The number of tasks above this one in its tree.
    pub depth: u32,
    /// The project's uncommitted changes when its agent began, where that works on a commit: left out, or included.
    pub uncommitted: Option<Uncommitted>,
    /// The same in a sentence.
    pub message: Option<String>,
    /// Its processes, while it runs.
    pub live: Option<Live>,
    /// The task's output as a resource.
    pub log_uri: String,
}

impl TaskAnswer {
    /// The same, saying what was found when the task was delegated, unless its agent's start has told.
    pub(crate) fn with_changes(mut self, found: Option<Uncommitted>) -> Self {
        if self.uncommitted.is_none() {
            self.message = found.as_ref().map(|found| about_changes(found, &self.project_path));
            self.uncommitted = found;
        }
        self
    }
}

/// The use of its model by an attempt.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Usage {
    /// Those that came from a cache included.
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cached_tokens: u64,
    /// Calls of the model.
    pub turns: u32,
    /// In US dollars, where the agent says so.
    pub cost_usd: Option<f64>,
}

impl From<&RunReport> for Usage {
    fn from(run: &RunReport) -> Self {
        Self {
            input_tokens: run.tokens.input,
            output_tokens: run.tokens.output,
            cached_tokens: run.tokens.cached,
            turns: run.turns,
            cost_usd: run.cost_micros.map(|micros| Usd::from_micros(micros).into()),
        }
    }
}

impl From<TaskStatus> for TaskAnswer {
    fn from(TaskStatus { task, live, .. }: TaskStatus) -> Self {
        let run = live.as_ref().and_then(|live| live.run.clone()).or(task.run);
        let workspace = task.result.as_ref().and_then(|result| result.workspace.as_deref());
        let uncommitted = workspace.and_then(|workspace| workspace.uncommitted.clone());
        let message = uncommitted.as_ref().map(|found| about_changes(found, &task.project_path));
        Self {
            status: task.status,
            task_id: task.task_id,
            task_type: task.task_type,
            description: task.description,
            preferred_agent: task.preferred_agent.map(String::from),
            created_at: task.created_at.to_string(),
            started_at: task.started_at.map(|at| at.to_string()),
            completed_at: task.completed_at.map(|at| at.to_string()),
            result: task.result,
            error: task.error,
            attempt: task.attempt,
            max_attempts: task.max_attempts,
            worker_id: task.worker_id.as_ref().map(|worker| worker_id(&task.department, worker)),
            department: task.department,
            updated_at: task.updated_at.to_string(),
            assigned_agent: task.assigned_agent.map(String::from),
            project_path: task.project_path,
            priority: task.priority.get(),
            not_before: task.not_before.map(|at| at.to_string()),
            cancelling: task.cancelling,
            usage: run.as_ref().map(Usage::from),
            parent_task_id: task.parent.map(|parent| parent.task_id),
            depth: task.parent.map_or(0, |parent| parent.depth),
            run,
            uncommitted,
            message,
            live,
            log_uri: log_uri(task.task_id),
        }
    }
}

/// One line of a list.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TaskLine {
    pub task_id: TaskId,
    pub status: Status,
    pub task_type: String,
    /// Its first 100 characters, and "..." where that is not all.
    pub description: String,
    pub preferred_agent: Option<String>,
    pub created_at: String,
    pub completed_at: Option<String>,
    pub department: DepartmentName,
    pub assigned_agent: Option<String>,
    pub attempt: u32,
    pub error: Option<String>,
    /// The task that asked for this one.
    pub parent_task_id: Option<TaskId>,
    /// The number of tasks above this one in its tree.
    pub depth: u32,
}

impl From<TaskView> for TaskLine {
    fn from(task: TaskView) -> Self {
        Self {
            task_id: task.task_id,
            status: task.status,
            task_type: task.task_type,
            description: shortened(task.description),
            preferred_agent: task.preferred_agent.map(String::from),
            created_at: task.created_at.to_string(),
            completed_at: task.completed_at.map(|at| at.to_string()),
            department: task.department,
            assigned_agent: task.assigned_agent.map(String::from),
            attempt: task.attempt,
            error: task.error,
            parent_task_id: task.parent.map(|parent| parent.task_id),
            depth: task.parent.map_or(0, |parent| parent.depth),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TaskList {
    pub status: Said,
    /// All that fit the filter, on this page or not.
    pub total_tasks: u64,
    pub tasks: Vec<TaskLine>,
    pub next_cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DepartmentList {
    pub status: Said,
    pub company: String,
    pub default_department: DepartmentName,
    pub departments: Vec<DepartmentInfo>,
    /// Why the newest configuration is not the one that runs, if it isn't.
    pub config_error: Option<String>,
    pub stopping: bool,
}

impl From<Departments> for DepartmentList {
    fn from(answer: Departments) -> Self {
        let Departments { company, default_department, departments, config_error, stopping } = answer;
        Self { status: Said::Success, company, default_department, departments, config_error, stopping }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Stats {
    pub status: Said,
    pub max_workers: usize,
    pub active_workers: usize,
    pub total_tasks_queued: u64,
    /// Ended in any way.
    pub total_tasks_processed: u64,
    pub workers: Vec<WorkerLine>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct WorkerLine {
    /// "<department>/<worker>", such as "qa/worker-0"; unique on its node.
    pub worker_id: String,
    pub is_busy: bool,
    pub current_task: Option<TaskId>,
    pub tasks_completed: u64,
    pub tasks_failed: u64,
    pub department: DepartmentName,
    pub node: String,
    /// Of the process that runs, with those that it started; null while none does.
    pub pid: Option<u32>,
    pub cpu_percent: Option<f32>,
    pub rss_bytes: Option<u64>,
    /// The number of times that the worker was restarted.
    pub restarts: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Cancelled {
    pub status: Said,
    pub task_id: TaskId,
    pub message: String,
    /// The task's status when the cancel arrived.
    pub was: Status,
    /// The time that it took until every process was gone, in milliseconds.
    pub took_ms: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Sent {
    pub status: Said,
    pub department: DepartmentName,
    pub message: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MessageList {
    pub status: Said,
    pub department: DepartmentName,
    /// The oldest of them first.
    pub messages: Vec<MessageLine>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MessageLine {
    pub text: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// Who left it; null where it was no task of the company's.
    pub from_department: Option<DepartmentName>,
    pub from_task_id: Option<TaskId>,
}

impl From<Message> for MessageLine {
    fn from(message: Message) -> Self {
        let (from_task_id, from_department) = message.from.map(|from| (from.task_id, from.department)).unzip();
        Self { text: message.text, at: message.at.to_string(), from_department, from_task_id }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Log {
    pub status: Said,
    pub task_id: TaskId,
    pub lines: Vec<LogLine>,
    /// Ask again with this for what follows; null when nothing will.
    pub next_cursor: Option<String>,
    /// True when the task has ended and these were its last lines.
    pub complete: bool,
}

pub(crate) fn log_uri(task: TaskId) -> String {
    format!("nexus://tasks/{task}/log")
}

/// The changes that are left out or included, and how to have it otherwise.
fn about_changes(found: &Uncommitted, project: &str) -> String {
    let way = if found.included { "" } else { "; include_uncommitted: true starts from them" };
    format!("{}{way}", found.summary(project))
}

/// Workers of several departments have the same names.
pub(crate) fn worker_id(department: &DepartmentName, worker: &WorkerName) -> String {
    format!("{department}/{worker}")
}

/// A length of time as a rough text.
fn about(millis: u64) -> String {
    match millis.div_ceil(1000) {
        0..=1 => "about 1 s".to_owned(),
        secs @ 2..120 => format!("about {secs} s"),
        secs @ 120..7200 => format!("about {} min", secs.div_ceil(60)),
        secs => format!("about {} h", secs.div_ceil(3600)),
    }
}

fn shortened(mut text: String) -> String {
    if let Some((cut, _)) = text.char_indices().nth(100) {
        text.truncate(cut);
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests;
