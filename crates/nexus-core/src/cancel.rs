//! The next step of a cancel, by the ledger's last word on its task.

use crate::event::{Event, Hold, What};
use crate::view::Status;

/// The next step of a cancel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The task has ended: nothing is left to cancel.
    Ended(Status),
    /// It waits, and no process of it is alive. Write `cancelled` for this attempt, expecting this sequence.
    Cancel { attempt: u32, expect: u64 },
    /// It runs. Write `cancel_requested`, expecting this sequence; then its holder is told.
    Ask { of: Hold, attempt: u32, expect: u64 },
    /// That is written already: its holder is told (again). Who holds it, if the event says so.
    Tell { of: Option<Hold> },
}

/// Decides by the task's last event and its sequence. `None`: nothing has happened to it yet.
#[must_use]
pub fn step(last: Option<(&Event, u64)>) -> Step {
    let Some((event, expect)) = last else { return Step::Cancel { attempt: 0, expect: 0 } };
    let attempt = event.attempt;
    match &event.what {
        What::Completed { .. } => Step::Ended(Status::Completed),
        What::Failed { .. } => Step::Ended(Status::Failed),
        What::Cancelled { .. } => Step::Ended(Status::Cancelled),
        What::Interrupted { .. } | What::Deferred { .. } | What::AttemptFailed { .. } | What::Retried { .. } => {
            Step::Cancel { attempt, expect }
        }
        What::Progressed { of, .. } => Step::Ask { of: of.clone(), attempt, expect },
        What::Started { node, delivery, .. } => {
            Step::Ask { of: Hold { node: node.clone(), delivery: delivery.clone() }, attempt, expect }
        }
        What::CancelRequested { of, .. } => Step::Tell { of: of.clone() },
    }
}

#[cfg(test)]
mod tests;
