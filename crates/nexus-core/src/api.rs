//! Questions to the CEO and its answers: the payloads of the NATS service `nexus.ceo.*`.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agent::AgentKind;
use crate::budget::Spent;
use crate::id::{AgentName, DepartmentName, NodeId, TaskId, WorkerName};
use crate::message::Sender;
use crate::question::{OpenQuestion, QuestionId};
use crate::refusal::Refusal;
use crate::uncommitted::Uncommitted;
use crate::view::{Status, TaskView};

/// Every answer of the CEO: what was asked for, or a typed refusal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reply<T> {
    Ok(T),
    Refused(Refusal),
}

impl<T> From<Result<T, Refusal>> for Reply<T> {
    fn from(result: Result<T, Refusal>) -> Self {
        match result {
            Ok(value) => Self::Ok(value),
            Err(refusal) => Self::Refused(refusal),
        }
    }
}

impl<T> From<Reply<T>> for Result<T, Refusal> {
    fn from(reply: Reply<T>) -> Self {
        match reply {
            Reply::Ok(value) => Ok(value),
            Reply::Refused(refusal) => Err(refusal),
        }
    }
}

/// Answer of `nexus.ceo.submit`: the task is on the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    pub task_id: TaskId,
    pub department: DepartmentName,
    /// The agent that was asked for; none: the department chooses.
    pub assigned_agent: Option<AgentName>,
    pub task_type: String,
    /// True when the idempotency key had been seen: this is the task of that submission.
    pub duplicate: bool,
    /// Median run of the department's latest tasks of this type, in milliseconds, if there were any.
    pub estimated_ms: Option<u64>,
    /// What whoever asked for it may not expect, as a sentence: no department lists its type, say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Names a task by its id or by an unambiguous prefix of at least 4 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskRef {
    pub task_id: String,
}

/// Answer of `nexus.ceo.uncommitted`: the uncommitted changes of a task's project, where its agent works on a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectChanges {
    pub task_id: TaskId,
    pub project_path: String,
    /// None where there are none, where the agent sees them as they are, or where looking took longer than two seconds.
    pub uncommitted: Option<Uncommitted>,
}

/// Question of `nexus.ceo.move`: put a task that waits on the queue of another department, with its attempts counted from the
/// start. The answer is the task as it is accepted there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveRequest {
    pub task_id: String,
    pub department: String,
}

/// Question of `nexus.ceo.cancel`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelRequest {
    pub task_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Answer of `nexus.ceo.cancel`: the task is cancelled and no process of it is alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cancelled {
    pub task_id: TaskId,
    /// The task's status when the cancel arrived.
    pub was: Status,
    /// The time that it took until everything was gone, in milliseconds.
    pub took_ms: u64,
}

/// Answer of `nexus.ceo.status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskStatus {
    pub task: TaskView,
    /// The attempt's processes, while it runs and its worker answers.
    pub live: Option<Live>,
    /// Why it waits, where that is for its department to be able to go on: see [`DepartmentInfo::waits`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
}

/// The living processes of a running attempt, as last sampled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Live {
    /// The leader of the attempt's process group.
    pub pid: Option<u32>,
    /// Processes of the group, the leader included.
    pub processes: u32,
    /// Percent of one processor, all processes together.
    pub cpu_percent: f32,
    /// Resident memory of all processes, in bytes.
    pub rss_bytes: u64,
    /// The last line it printed, cut at 200 characters, and when.
    pub last_line: Option<String>,
    #[schemars(with = "Option<String>")]
    pub last_output_at: Option<Timestamp>,
    /// Its limits and its confinement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protection: Option<crate::event::Protection>,
    /// The run so far, as its agent has told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<crate::run::RunReport>,
    /// The oldest of `questions`, in its words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks: Option<String>,
    /// The permissions that it waits for, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<OpenQuestion>,
}

/// Question of `nexus.ceo.answer`: what a person says of the permission that a task's agent has asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerRequest {
    pub task_id: String,
    pub allow: bool,
    /// The question, as the task's status names it: an answer to one that is not open is refused. Without it, the answer is for
    /// the only question that the task has ever asked; where there were others, it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<QuestionId>,
}

/// Answer of `nexus.ceo.answer`: the agent is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answered {
    pub task_id: TaskId,
    /// The question that was open, and is answered now.
    pub question: QuestionId,
    /// In its words.
    pub asked: Option<String>,
    pub allowed: bool,
}

/// Question of `nexus.ceo.resume`: give a stopped department a new chance. The CEO that answers does so on its own node;
/// the answer is the department as it is then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeRequest {
    pub department: String,
}

/// Question of `nexus.ceo.message`: leave a department a message. The answer is the message as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageRequest {
    pub department: String,
    /// At most 8,192 bytes.
    pub text: String,
    /// The task that leaves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Sender>,
}

/// Question of `nexus.ceo.list`: newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// Any of these; empty: all.
    #[serde(default)]
    pub status: Vec<Status>,
    /// Only tasks that this one has asked for: its whole id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<TaskId>,
    /// Only tasks below this first one of a tree: its whole id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<TaskId>,
    /// At most 1,000; 100 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Answer of `nexus.ceo.list`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskPage {
    /// All that fit the filter, on this page or not.
    pub total: u64,
    pub tasks: Vec<TaskView>,
    pub next_cursor: Option<String>,
}

/// Answer of `nexus.ceo.workers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerStats {
    pub tasks_queued: u64,
    /// Ended in any way, ever (within the history's retention).
    pub tasks_processed: u64,
    pub workers: Vec<WorkerInfo>,
}

/// One worker. `worker_id` is unique within its department on its node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerInfo {
    pub worker_id: WorkerName,
    pub department: DepartmentName,
    pub node: NodeId,
    pub is_busy: bool,
    pub current_task: Option<TaskId>,
    /// Ended well, since the company started.
    pub tasks_completed: u64,
    /// Ended otherwise, since the company started.
    pub tasks_failed: u64,
    /// Restarts of the worker actor.
    pub restarts: u64,
    pub live: Option<Live>,
}

/// Answer of `nexus.ceo.departments`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Departments {
    pub company: String,
    pub default_department: DepartmentName,
    pub departments: Vec<DepartmentInfo>,
    /// Why the newest configuration is not the one that runs, if it isn't.
    pub config_error: Option<String>,
    /// The company is stopping: it takes no more work, and what runs is given its grace.
    #[serde(default)]
    pub stopping: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DepartmentInfo {
    pub name: DepartmentName,
    pub description: String,
    pub state: DepartmentState,
    /// Why it is stopped or restarting.
    pub reason: Option<String>,
    pub agents: Vec<AgentName>,
    pub task_types: Vec<String>,
    pub workers: u32,
    pub busy: u32,
    /// Tasks that wait.
    pub queued: u64,
    /// Restarts of the department actor since the company started.
    pub restarts: u64,
    /// Failures of the department on this node since it was last given a new chance: by `nexus resume`, or by a change of
    /// its configuration. A restart of the company changes nothing.
    #[serde(default)]
    pub failures: u64,
    /// Since when it is stopped or restarting.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
    /// Why it takes no work on this node although it runs, and until when: its agents' accounts are closed, or a budget is
    /// used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
    /// At least 80 % of a budget of today are spent: a sentence that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// Answer of `nexus.ceo.agents`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Agents {
    pub agents: Vec<AgentInfo>,
}

/// One agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentInfo {
    pub name: AgentName,
    pub kind: AgentKind,
    /// The account that it works on: its own name, unless several share one.
    pub account: AgentName,
    /// Those that list it.
    pub departments: Vec<DepartmentName>,
    /// Its program is there on the node that answers. (What an image of a container holds isn't known.)
    pub installed: bool,
    pub state: AgentState,
    /// When it is tried again; none while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub until: Option<Timestamp>,
    /// Since when it is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
    /// Why it is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The spending of its attempts today (UTC), on all nodes.
    pub spent_today: Spent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AgentState {
    Open,
    /// Its account may not ask for more.
    Limited,
    /// Its account's credentials are not accepted.
    Unhealthy,
}

impl AgentState {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Limited => "limited",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// Question of `nexus.ceo.agents_clear`: opens the agent's account, on all nodes. The answer is the agent as it is then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentRef {
    pub agent: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DepartmentState {
    Running,
    /// Failed, and about to be started again.
    Restarting,
    /// Failed more often than its restart intensity allows; its tasks wait. It stays so over restarts of the company,
    /// until it is given a new chance.
    Stopped,
    /// Removed from the configuration; what runs is finished, nothing new is taken.
    Leaving,
    /// Not in the configuration, and tasks wait for it.
    Gone,
}

/// A message that could not become work: the payload of `nexus.dead.<department>.<id>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetter {
    /// Version of the stored form.
    pub v: u32,
    /// Where it came from: a NATS subject.
    pub subject: String,
    pub refusal: Refusal,
    /// The content, cut at 64 KiB; invalid UTF-8 is replaced by U+FFFD.
    pub payload: String,
    #[schemars(with = "String")]
    pub at: Timestamp,
}
