//! A task as it is asked for (`Submission`), as it is accepted (`Task`), and as it waits (`QueueEntry`).

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::budget::Spent;
use crate::id::{AgentName, DepartmentName, NodeId, Priority, TaskId};
use crate::run::RunReport;

/// Longest accepted description, in bytes: the longest argument that Linux gives to a program (`MAX_ARG_STRLEN`, 128 KiB,
/// less its NUL), so that every accepted task can be handed to every agent. Far below NATS's limit of 1 MiB.
pub const MAX_DESCRIPTION: usize = 128 * 1024 - 1;
/// Largest accepted context, in bytes of JSON: it fits into one environment variable under the same limit.
pub const MAX_CONTEXT: usize = 96 * 1024;
/// Longest accepted idempotency key, project path and task type, in bytes.
pub const MAX_WORDS: usize = 4096;

/// The task type of a submission that names none.
pub const DEFAULT_TASK_TYPE: &str = "code_generation";

/// The task type whose description is a command, for an agent that runs commands.
pub const COMMAND_TYPE: &str = "command";

/// Work as a client asks for it: the payload of `nexus.ceo.submit` and of `nexus.inbox.<department>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// The work, in words (for the agent `shell`: the command). At most 131,071 bytes.
    #[serde(alias = "task_description")]
    pub description: String,
    /// Chooses the department, by the departments' own `task_types`. `command`: the description is a command, and goes to an
    /// agent that runs commands, such as `shell`.
    #[serde(default = "default_task_type")]
    pub task_type: String,
    /// The directory that the work is about; a relative one is taken from the company's working directory.
    #[serde(default = "default_project_path")]
    pub project_path: String,
    /// Anything else the agent should know; handed to it as JSON in `NEXUS_CONTEXT`. At most 98,304 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Map<String, Value>>,
    /// The agent to use; without one, the department's first that can be used and doesn't run commands, as `shell` does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_agent: Option<String>,
    /// The department to use; wins over `task_type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    #[serde(default)]
    pub priority: Priority,
    /// The same key is the same task: asked for twice, it runs once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Wall time of one attempt, in seconds; the department's `limits.wall_time` is the upper bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub timeout_seconds: Option<u64>,
    /// The number of times that an agent's failure is tried, the first time included; the department's policy unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_attempts: Option<u32>,
    /// Not started before this time.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::due::deserialize")]
    #[schemars(with = "Option<String>")]
    pub not_before: Option<Timestamp>,
    /// True: the task starts from the uncommitted changes of the project's checkout too, where its agent works in a clone
    /// or a worktree; the department's `workspace.include_uncommitted` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_uncommitted: Option<bool>,
    /// The task on whose behalf this is asked for. It has to be running; when it is cancelled or fails, so is this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_task_id: Option<TaskId>,
}

fn default_task_type() -> String {
    DEFAULT_TASK_TYPE.to_owned()
}

fn default_project_path() -> String {
    ".".to_owned()
}

impl Submission {
    /// The id that its idempotency key gives. A key is its parent's: an agent's next attempt finds what the one before has
    /// asked for, and no other task's agent does.
    #[must_use]
    pub fn keyed_id(&self) -> Option<TaskId> {
        let key = self.idempotency_key.as_deref()?;
        Some(match self.parent_task_id {
            Some(parent) => TaskId::from_idempotency_key(&format!("{parent}\n{key}")),
            None => TaskId::from_idempotency_key(key),
        })
    }

    #[must_use]
    pub fn new(description: impl Into<String>) -> Self {
        Self {
            description: description.into(),
            task_type: default_task_type(),
            project_path: default_project_path(),
            context: None,
            preferred_agent: None,
            department: None,
            priority: Priority::DEFAULT,
            idempotency_key: None,
            timeout_seconds: None,
            max_attempts: None,
            not_before: None,
            include_uncommitted: None,
            parent_task_id: None,
        }
    }
}

/// Work that was accepted: what the ledger keeps, and what an attempt is made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Task {
    pub id: TaskId,
    pub department: DepartmentName,
    pub description: String,
    pub task_type: String,
    /// Absolute.
    pub project_path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_agent: Option<AgentName>,
    pub priority: Priority,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// As asked for; without it the department's policy holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// Not started before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub not_before: Option<Timestamp>,
    /// True: it starts from uncommitted changes too, as asked for; without it the department's policy holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_uncommitted: Option<bool>,
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// W3C trace context of the submission, handed on to every event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The task that asked for this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
}

/// Where a task stands in a tree of tasks that agents have asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Parent {
    pub task_id: TaskId,
    /// The tree's first task.
    pub root: TaskId,
    /// The number of tasks above this one: 1 for a child of the first.
    pub depth: u32,
}

/// Version of the stored forms: [`QueueEntry`], [`crate::event::Event`], [`crate::log::LogChunk`],
/// [`crate::api::DeadLetter`], [`crate::dead::DeadTask`], [`crate::staff::StaffRecord`] and
/// [`crate::account::AccountRecord`]. Version 2 has runs of agents: what they spend, their sessions, who asked for whom.
pub const STORED_VERSION: u32 = 2;

/// A task that waits for a worker: the payload of `nexus.queue.<department>.<lane>.<task>`.
///
/// Each entry is complete, so that a re-queue may delete the one that it replaces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueueEntry {
    /// [`STORED_VERSION`] when it was written.
    pub v: u32,
    pub task: Task,
    /// The attempt that this entry is for, from 1.
    pub attempt: u32,
    /// The number of times that an attempt was interrupted through no fault of the agent's, since the task was submitted or put
    /// back by hand.
    #[serde(default)]
    pub interruptions: u32,
    #[schemars(with = "String")]
    pub queued_at: Timestamp,
    /// The spending of earlier attempts.
    #[serde(default, skip_serializing_if = "Spent::is_nothing")]
    pub spent: Spent,
    /// The session that an attempt has left which did not come to its end: the next one goes on with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Resume>,
    /// The sequence of the event that it follows from, where that was stored before it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Lines in the task's log, where whoever wrote this knew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logged: Option<u64>,
}

/// A session of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resume {
    /// Only this one knows it.
    pub agent: AgentName,
    /// Only there is what it needs.
    pub node: NodeId,
    pub session: String,
}

impl QueueEntry {
    #[must_use]
    pub fn first(task: Task) -> Self {
        let queued_at = task.created_at;
        Self {
            v: STORED_VERSION,
            task,
            attempt: 1,
            interruptions: 0,
            queued_at,
            spent: Spent::default(),
            resume: None,
            after: None,
            logged: None,
        }
    }

    /// The same after an attempt that has run for so long, and has left this of its agent's run: what was spent is counted,
    /// and its session can be gone on with.
    #[must_use]
    pub fn leaving(&self, node: &NodeId, agent: &AgentName, run: Option<&RunReport>, ran: Duration) -> Self {
        let left = self.spending(run, ran);
        let Some(run) = run else { return left };
        let session = run.session.clone().map(|session| Resume { agent: agent.clone(), node: node.clone(), session });
        Self { resume: session, ..left }
    }

    /// The same, with what such an attempt has spent counted.
    pub(crate) fn spending(&self, run: Option<&RunReport>, ran: Duration) -> Self {
        let spent = self.spent.plus(run.map_or_else(|| Spent::time(ran), |run| Spent::of(run, ran)));
        Self { spent, ..self.clone() }
    }
}
