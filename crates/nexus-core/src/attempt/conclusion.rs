//! The ends of an attempt, and which of several holds.

use jiff::Timestamp;

use super::ExitStatus;
use crate::event::{Failure, FailureKind};
use crate::run::Trouble;

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conclusion {
    Completed,
    Failed(Failure),
    Cancelled(String),
    Interrupted(String),
    /// Ended because its lease could not be renewed: back to the queue, unless another owner has put it there.
    Lost,
    /// Its agent's account doesn't let it go on: see [`crate::account::follow`].
    Blocked(Trouble),
    /// Back to the queue, at once or then; nothing is counted.
    Deferred {
        reason: String,
        until: Option<Timestamp>,
    },
}

/// Why an attempt was interrupted whose lease was lost.
pub(crate) const LOST: &str = "its lease could not be renewed";

/// Which end wins when several come together: a user's word beats an accident. A lost lease beats them all: what ended
/// the agent may have been whoever guards the lease, and a cancel is on the ledger, where the fence finds it.
pub(super) const fn weight(conclusion: &Conclusion) -> u8 {
    match conclusion {
        Conclusion::Completed | Conclusion::Failed(_) | Conclusion::Blocked(_) => 2,
        Conclusion::Interrupted(_) | Conclusion::Deferred { .. } => 1,
        Conclusion::Cancelled(_) => 3,
        Conclusion::Lost => 4,
    }
}

/// The line of the task's log that says why its agent is ended.
pub(super) fn note(conclusion: &Conclusion) -> Option<String> {
    match conclusion {
        Conclusion::Failed(failure) => Some(format!("ending the agent: it {}", failure.message)),
        Conclusion::Cancelled(reason) => Some(format!("ending the agent: {reason}")),
        Conclusion::Interrupted(reason) => Some(format!("ending the agent; the task goes back to the queue: {reason}")),
        Conclusion::Lost => Some(format!("ending the agent; the task goes back to the queue: {LOST}")),
        Conclusion::Deferred { reason, .. } => Some(format!("ending the agent; the task waits: {reason}")),
        Conclusion::Completed | Conclusion::Blocked(_) => None,
    }
}

/// The conclusion of a command by the end of its leader.
pub(super) fn by_exit(status: ExitStatus) -> Conclusion {
    let failed = |kind, message| Conclusion::Failed(Failure { kind, message });
    match status {
        ExitStatus::Code(0) => Conclusion::Completed,
        ExitStatus::Code(code) => failed(FailureKind::Exit, format!("the agent ended with exit code {code}")),
        ExitStatus::Signal(signal) => failed(FailureKind::Signal, format!("the agent was ended by signal {signal}")),
    }
}
