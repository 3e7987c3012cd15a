//! A department: the content of `departments/<name>.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::id::{AgentName, DepartmentName, Priority};
use crate::restart::RestartPolicy;
use crate::retry::RetryPolicy;
use crate::units::Span;

mod limits;
mod sandbox;

pub use limits::{Limits, LimitsTier};
pub use sandbox::{Network, Sandbox, SandboxLevel, SandboxTier};

/// A department: which work it takes, who does it, and under which policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Department {
    /// Its purpose, in a sentence; shown to people and to agents that delegate.
    #[serde(default)]
    pub description: String,
    /// The number of tasks that it works on at once.
    #[serde(default = "default_workers")]
    #[schemars(range(min = 1, max = 10000))]
    pub workers: u32,
    /// The types of task that are routed here when a submission names no department.
    #[serde(default)]
    pub task_types: Vec<String>,
    /// Its agents, in order of preference. `shell` runs any command, where it is listed, and gets only tasks that name it.
    #[serde(default = "default_agents")]
    pub agents: Vec<AgentName>,
    /// The departments that its agents may ask for tasks, whatever those can reach. Absent: all whose agents can reach no more
    /// than its own ([sandbox] level, minimum and network).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegates_to: Option<Vec<DepartmentName>>,
    /// Instructions for its agents, put before each task. These are filled in: `{{ department }}`, `{{ description }}` (the
    /// department's), `{{ task_type }}`, `{{ workspace }}`, `{{ branch }}`, `{{ departments }}` (who else there is),
    /// `{{ messages }}` (what was sent to the department lately).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// A file that holds the role, in place of `role`; relative to the directory of `nexus.toml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_file: Option<PathBuf>,
    /// The answer when an agent asks for a permission: to run a command, to change a file.
    #[serde(default)]
    pub approval: Approval,
    #[serde(default)]
    pub queue: QueuePolicy,
    /// Restarts of its workers, as in OTP.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// The policy after an attempt that failed.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// The limits of one attempt.
    #[serde(default)]
    pub limits: Limits,
    /// The budget of all its tasks for a day (UTC). When it is used up, no more work is taken until the next.
    #[serde(default)]
    pub budget: Budget,
    /// Where an attempt works.
    #[serde(default)]
    pub workspace: Workspace,
    /// The reach of an attempt.
    #[serde(default)]
    pub sandbox: Sandbox,
    /// The way to end an attempt.
    #[serde(default)]
    pub stop: StopPolicy,
    /// The part of the company's own environment that an agent may see.
    #[serde(default)]
    pub environment: Environment,
    /// NATS subjects that become work here.
    #[serde(default)]
    pub on: Vec<Trigger>,
}

fn default_workers() -> u32 {
    1
}

fn default_agents() -> Vec<AgentName> {
    AgentName::new("shell").into_iter().collect()
}

impl Default for Department {
    fn default() -> Self {
        Self {
            description: String::new(),
            workers: default_workers(),
            task_types: Vec::new(),
            agents: default_agents(),
            delegates_to: None,
            role: None,
            role_file: None,
            approval: Approval::default(),
            queue: QueuePolicy::default(),
            restart: RestartPolicy::default(),
            retry: RetryPolicy::default(),
            limits: Limits::default(),
            budget: Budget::default(),
            workspace: Workspace::default(),
            sandbox: Sandbox::default(),
            stop: StopPolicy::default(),
            environment: Environment::default(),
            on: Vec::new(),
        }
    }
}

/// The answer to an agent that asks for a permission.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    /// Yes: what it must not reach, its sandbox keeps from it.
    #[default]
    Allow,
    /// A person is asked (`nexus answer`), and silence is a no. Command lines that can't ask are told to do without.
    Ask,
    /// No: it reads, and says what it would do.
    Reject,
}

/// The bounds of what may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueuePolicy {
    /// Tasks that may wait here; one more is refused as `busy`. A million tasks of 1 KiB are about 340 MB in the server.
    #[serde(default = "default_queue_max")]
    #[schemars(range(min = 1))]
    pub max_waiting: u64,
}

const fn default_queue_max() -> u64 {
    1_000_000
}

impl Default for QueuePolicy {
    fn default() -> Self {
        Self { max_waiting: default_queue_max() }
    }
}

/// Where an attempt works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workspace {
    /// Absent: a confined agent gets a private clone of a git repository, and otherwise the project's directory itself.
    pub mode: Option<WorkspaceMode>,
    /// True: an attempt's uncommitted files in a worktree or a clone are committed on the task's branch when the task
    /// is completed. What a failed or cancelled attempt leaves stays as it is.
    #[serde(default = "default_commit")]
    pub commit: bool,
    /// True: a task in a worktree or a clone starts from the uncommitted changes of the project's checkout too.
    /// A task's own `include_uncommitted` wins over it.
    #[serde(default)]
    pub include_uncommitted: bool,
    /// True: a clone's files are layers over a prepared checkout, where the machine can mount these for the agent. Without
    /// them each task copies its files, which takes longer, and all files are the agent's own.
    #[serde(default = "default_layers")]
    pub layers: bool,
    /// Commands for `sh`, such as `npm ci`, that run in order and once for each prepared checkout, in the sandbox of the first
    /// attempt that starts from it. What they leave, but for tracked files, each attempt on that checkout starts with.
    #[serde(default)]
    pub warm: Vec<String>,
}

const fn default_commit() -> bool {
    true
}

const fn default_layers() -> bool {
    true
}

impl Default for Workspace {
    fn default() -> Self {
        Self {
            mode: None,
            commit: default_commit(),
            include_uncommitted: false,
            layers: default_layers(),
            warm: Vec::new(),
        }
    }
}

impl Workspace {
    /// Where an agent works that is confined or not.
    #[must_use]
    pub const fn wanted(&self, confined: bool) -> Wanted {
        let (mode, otherwise) = match self.mode {
            Some(mode) => (mode, WorkspaceMode::Copy),
            None if confined => (WorkspaceMode::Clone, WorkspaceMode::InPlace),
            None => (WorkspaceMode::InPlace, WorkspaceMode::InPlace),
        };
        Wanted { mode, otherwise, include_uncommitted: self.include_uncommitted }
    }
}

/// A workspace that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub mode: WorkspaceMode,
    /// The mode for a project that is in no git repository with a commit, if `mode` needs one.
    pub otherwise: WorkspaceMode,
    /// True: a clone or a worktree starts from the uncommitted changes of the project's checkout too.
    pub include_uncommitted: bool,
}

impl Wanted {
    /// The same, with what a task itself asks for.
    #[must_use]
    pub const fn for_task(self, include_uncommitted: Option<bool>) -> Self {
        match include_uncommitted {
            Some(include_uncommitted) => Self { include_uncommitted, ..self },
            None => self,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkspaceMode {
    /// A git worktree on the branch `nexus/<task>`; a project that is not a git repository is worked on in a copy.
    Worktree,
    /// A private clone whose branch is fetched back.
    Clone,
    /// A copy of the project's directory.
    Copy,
    /// The project's directory itself.
    #[default]
    InPlace,
    /// An empty directory.
    Scratch,
}

impl WorkspaceMode {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Worktree => "worktree",
            Self::Clone => "clone",
            Self::Copy => "copy",
            Self::InPlace => "in_place",
            Self::Scratch => "scratch",
        }
    }
}

/// The way to end an attempt: INT, then TERM, then KILL, to the whole group of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StopPolicy {
    /// Time from INT to TERM.
    #[serde(default = "default_grace")]
    pub interrupt_grace: Span,
    /// Time from TERM to KILL.
    #[serde(default = "default_grace")]
    pub terminate_grace: Span,
}

const fn default_grace() -> Span {
    Span::from_secs(2)
}

impl Default for StopPolicy {
    fn default() -> Self {
        Self { interrupt_grace: default_grace(), terminate_grace: default_grace() }
    }
}

/// The part of the company's own environment that an agent may see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Names of variables passed on beside the basic ones (`PATH`, `HOME`, `USER`, `LANG`, `TERM`, `TZ` ...).
    #[serde(default)]
    pub pass: Vec<String>,
    /// Variables set for every agent here. Secrets don't belong here.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
}

/// Turns any NATS subject into work for the department.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// The NATS subject, wildcards allowed.
    pub subject: String,
    /// The task's description; `{{ data.x }}` is the event's JSON, `{{ subject }}` its subject. For an agent that runs commands,
    /// such as `shell`, each value is quoted: `{{ data.x | shell }}`.
    pub description: String,
    /// The task's type.
    #[serde(default = "default_trigger_type")]
    pub task_type: String,
    /// The directory that the task is about.
    #[serde(default = "default_trigger_path")]
    pub project_path: String,
    /// The agent; without it the department chooses.
    pub agent: Option<AgentName>,
    /// The priority, 0 to 9; 9 comes first.
    #[serde(default)]
    pub priority: Priority,
}

fn default_trigger_type() -> String {
    crate::task::DEFAULT_TASK_TYPE.to_owned()
}

fn default_trigger_path() -> String {
    ".".to_owned()
}
