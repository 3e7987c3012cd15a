//! A typed refusal: what every client gets instead of an answer, with a sentence and the way out.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
pub struct Refusal {
    pub kind: RefusalKind,
    /// A sentence: what is wrong, and where.
    pub message: String,
    /// The next step for the reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// The request itself is malformed or out of range.
    InvalidInput,
    UnknownDepartment,
    UnknownAgent,
    /// The agent exists, but the department doesn't list it.
    AgentNotInDepartment,
    /// No agent could do it: those that would be used are not installed anywhere, or the department lists none that takes prose.
    NoAgent,
    /// No such task.
    NotFound,
    /// A shortened id fits several tasks.
    Ambiguous,
    /// The department's queue is at its bound, or the ledger is full; try again later.
    Busy,
    /// One more task in this tree of tasks would go beyond a limit of `[delegation]`, could never be done, or would be done by
    /// a department that the one that asks may not ask. Or one more message of a task.
    Limit,
    /// No company does this, whoever asks: work in a directory that holds a user's home, say.
    Forbidden,
    /// The disk that the ledger is on is full or can't be written; try again when there is room.
    StorageFull,
    /// The task is in a state that doesn't allow it.
    Conflict,
    /// It didn't come about in the time allowed.
    TimedOut,
    /// The company is stopping or the department has been stopped.
    Stopped,
    /// The company or its broker can't be reached.
    Unreachable,
    /// It was stored by a newer version of Nexus, which this one leaves untouched.
    NewerVersion,
    Internal,
}

impl Refusal {
    #[must_use]
    pub fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: None }
    }

    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(RefusalKind::InvalidInput, message)
    }

    #[must_use]
    pub fn not_found(task: &str) -> Self {
        Self::new(RefusalKind::NotFound, format!("there is no task {task}"))
            .with_help("`nexus list --all` shows every task that is still kept")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
