//! Events of a task: the payload of `nexus.event.<department>.<task>`.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{AgentName, DepartmentName, NodeId, TaskId, WorkerName};
use crate::run::RunReport;
use crate::task::STORED_VERSION;
use crate::uncommitted::Uncommitted;

/// One event of one task. Its stream sequence is the fencing token of whatever comes after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Version of the stored form.
    pub v: u32,
    pub task_id: TaskId,
    pub department: DepartmentName,
    /// The attempt it belongs to, from 1; 0 before there was one.
    pub attempt: u32,
    #[schemars(with = "String")]
    pub at: Timestamp,
    pub what: What,
}

/// The reason of an interruption by a company that stops.
pub const STOPPING: &str = "the company is stopping";

/// The kind of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum What {
    /// A worker took the task. Published by compare-and-set: at most one worker can.
    Started {
        node: NodeId,
        worker: WorkerName,
        agent: AgentName,
        /// The queue's delivery that this attempt came from: whoever requeues the task ends that delivery by it, so
        /// that only one way leads back to the queue.
        delivery: String,
    },
    /// A cancel was asked for while an attempt was running; `cancelled` follows when its processes are gone.
    CancelRequested {
        reason: String,
        /// The attempt that is to be ended; the first ledgers don't say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<Hold>,
    },
    /// The progress of the agent's run, now and then while it goes on; the first one names its session.
    Progressed {
        of: Hold,
        agent: AgentName,
        run: RunReport,
        /// For how long the attempt had run by then.
        #[serde(default)]
        ran_ms: u64,
    },
    /// The attempt's end was not the agent's fault; the task is back in the queue and no attempt is used up.
    Interrupted {
        reason: String,
        /// The run until then, where its agent has told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<RunReport>,
    },
    /// The agent, or its department, can't work at the moment: a rate limit, a budget. The task is back in the queue, and
    /// neither an attempt nor an interruption is counted.
    Deferred {
        reason: String,
        /// It waits until then; without it, until its department can go on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        until: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<RunReport>,
    },
    /// The attempt failed and another one follows at `retry_at`.
    AttemptFailed {
        failure: Failure,
        outcome: Outcome,
        #[schemars(with = "String")]
        retry_at: Timestamp,
    },
    /// A task that failed or was cancelled was put back on the queue by hand, or one that waited was moved to this department,
    /// with its attempts and interruptions counted from the start.
    Retried { reason: String },
    /// Terminal: done.
    Completed { outcome: Outcome },
    /// Terminal: failed, and no attempt is left.
    Failed { failure: Failure, outcome: Outcome },
    /// Terminal: cancelled, and no process of it is alive.
    Cancelled { reason: String, outcome: Option<Outcome> },
}

/// Who has an attempt in hand: the node, and the delivery that it took, both as its `started` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    pub node: NodeId,
    pub delivery: String,
}

impl What {
    /// The last part of the CloudEvents type `nexus.task.<name>`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::CancelRequested { .. } => "cancel_requested",
            Self::Progressed { .. } => "progressed",
            Self::Interrupted { .. } => "interrupted",
            Self::Deferred { .. } => "deferred",
            Self::AttemptFailed { .. } => "attempt_failed",
            Self::Retried { .. } => "retried",
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// The delivery that the attempt came from which this event leaves open.
    #[must_use]
    pub fn delivery(&self) -> Option<&str> {
        match self {
            Self::Started { delivery, .. } => Some(delivery),
            Self::CancelRequested { of: Some(of), .. } | Self::Progressed { of, .. } => Some(&of.delivery),
            _ => None,
        }
    }

    /// The node that has the attempt in hand which this event leaves open.
    #[must_use]
    pub const fn node(&self) -> Option<&NodeId> {
        match self {
            Self::Started { node, .. }
            | Self::CancelRequested { of: Some(Hold { node, .. }), .. }
            | Self::Progressed { of: Hold { node, .. }, .. } => Some(node),
            _ => None,
        }
    }

    /// Nothing follows a terminal event (but `retried`, which a user asks for).
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed { .. } | Self::Failed { .. } | Self::Cancelled { .. })
    }
}

impl Event {
    #[must_use]
    pub const fn new(task_id: TaskId, department: DepartmentName, attempt: u32, at: Timestamp, what: What) -> Self {
        Self { v: STORED_VERSION, task_id, department, attempt, at, what }
    }

    /// True for an attempt that failed whose next one waits for no time: it is queued behind this event, and not with it.
    #[must_use]
    pub fn goes_on_at_once(&self) -> bool {
        matches!(self.what, What::AttemptFailed { retry_at, .. } if retry_at <= self.at)
    }
}

/// Why an attempt failed, as a kind for programs and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    pub kind: FailureKind,
    /// A sentence that says what happened and, where there is one, the way out.
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The agent ended with an exit code other than 0.
    Exit,
    /// The agent was ended by a signal that was not ours.
    Signal,
    /// It ran longer than its wall time.
    WallTime,
    /// It printed nothing, and used no processor, for its idle time.
    IdleTime,
    /// It printed more than its output limit.
    Output,
    /// Its processes needed more memory than their limit.
    Memory,
    /// It had more processes than its limit.
    Processes,
    /// It wrote a bigger file than its limit.
    FileSize,
    /// The machine can't protect it, or be protected from it, as its department demands.
    Protection,
    /// Its program could not be started.
    Spawn,
    /// Its workspace could not be prepared.
    Workspace,
    /// It was interrupted too often through no fault of its own.
    Interruptions,
    /// The agent is not signed in, or its key isn't accepted.
    Authentication,
    /// The agent's account may not ask for more at the moment.
    RateLimit,
    /// The model's API answered with an error.
    Model,
    /// A limit of the agent's own: its turns, its context.
    AgentLimit,
    /// The agent ended, or spoke, in a way that its format doesn't have.
    Protocol,
    /// The agent failed before it said how it ended.
    Crash,
    /// The model declined to do it.
    Refused,
    /// The task has used up its budget.
    Budget,
}

impl FailureKind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Signal => "signal",
            Self::WallTime => "wall_time",
            Self::IdleTime => "idle_time",
            Self::Output => "output",
            Self::Memory => "memory",
            Self::Processes => "processes",
            Self::FileSize => "file_size",
            Self::Protection => "protection",
            Self::Spawn => "spawn",
            Self::Workspace => "workspace",
            Self::Interruptions => "interruptions",
            Self::Authentication => "authentication",
            Self::RateLimit => "rate_limit",
            Self::Model => "model",
            Self::AgentLimit => "agent_limit",
            Self::Protocol => "protocol",
            Self::Crash => "crash",
            Self::Refused => "refused",
            Self::Budget => "budget",
        }
    }
}

/// The result of an attempt: the `result` of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// The leader's exit code; none when a signal ended it or it never started.
    pub exit_code: Option<i32>,
    /// The signal that ended the leader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// The end of what it wrote on standard output, or of the last message of an agent that speaks in messages; at most 16 KiB, from the start of a line where that was cut.
    pub output: String,
    /// The same of standard error.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error_output: String,
    /// True when `output` or `error_output` is not everything; the task's log has the rest.
    #[serde(default)]
    pub truncated: bool,
    /// Lines in the task's log, all attempts together: the log is complete when this many were read.
    #[serde(default)]
    pub log_lines: u64,
    /// Wall time of the attempt, in milliseconds.
    pub duration_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<Box<WorkspaceReport>>,
    /// The resources that its processes have used, all together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Its limits and its confinement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protection: Option<Protection>,
    /// The run as its agent has told it; none of a plain command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunReport>,
}

impl Outcome {
    /// Drops the outputs, of which the log has all; false: there are none.
    pub fn forget_outputs(&mut self) -> bool {
        if self.output.is_empty() && self.error_output.is_empty() {
            return false;
        }
        (self.output, self.error_output, self.truncated) = (String::new(), String::new(), true);
        true
    }
}

/// The resources that an attempt's processes have used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// The most memory in use at once, in bytes: of all processes where control groups count it, else of the biggest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// Processor time, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
}

/// The limits and the confinement of an attempt: names for people and programs, of which later versions may have more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Protection {
    /// `none`, `landlock`, `namespaces`, `container`.
    pub sandbox: String,
    /// `cgroup`, `sampled`, `container`.
    pub limits: String,
    /// The way in which its processes are ended: `group`, `descendants`, `cgroup`, `pid_namespace`, `container`.
    pub tree: String,
    /// `full`, `none`, `proxy`.
    pub network: String,
}

/// Where an attempt worked, and what became of that place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkspaceReport {
    pub mode: crate::department::WorkspaceMode,
    pub path: String,
    /// The branch of a worktree or a clone, in the project's repository; none when there is nothing on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// False: it was clean and has been removed.
    pub kept: bool,
    /// True: its files are layers, and others see an empty directory at `path`. `nexus shell` opens it, and `nexus path` makes
    /// it a plain directory.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub layered: bool,
    /// Files that the attempt changed and did not commit; none where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_files: Option<u64>,
    /// Why it was kept, where the number of changed files doesn't tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The commit that the task's branch started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// True: `base` is a snapshot of the user's uncommitted changes, made for this task; the user's branches don't have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub snapshot: bool,
    /// The uncommitted changes of the project's checkout when the attempt began, if there were any and they were looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncommitted: Option<Uncommitted>,
    /// The newest commit of the branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// The commits on the branch beyond its base, all attempts together: the newest first, 50 at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commits: Vec<CommitInfo>,
    /// The number of these in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_count: Option<u64>,
    /// Their changes, all together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<DiffStat>,
}

/// One commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommitInfo {
    pub id: String,
    /// Its message's first line; at most 120 characters.
    pub subject: String,
}

/// The size of a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiffStat {
    pub files: u64,
    /// Lines.
    pub insertions: u64,
    /// Lines.
    pub deletions: u64,
}
