//! How a task goes on whose attempt is over without an end of its own: what is written, and what is queued.

use jiff::Timestamp;

use crate::event::{Event, Outcome, What};
use crate::retry::{Next, interrupted};
use crate::task::QueueEntry;

/// What is written in place of a holder that is gone.
#[derive(Clone, Debug, PartialEq)]
pub struct Revival {
    pub event: Event,
    /// Queued with the event, both or neither; none where the task has ended.
    pub entry: Option<QueueEntry>,
}

/// Decides what follows an attempt whose holder is known to be gone, with every process of it. `entry` is the task's
/// newest. `None`: no attempt is open, so there is nothing to put back.
#[must_use]
pub fn revive(last: &Event, entry: &QueueEntry, reason: &str, now: Timestamp) -> Option<Revival> {
    let entry = QueueEntry { attempt: last.attempt, ..entry.clone() };
    let (what, entry) = match &last.what {
        // A cancel that its holder didn't live to carry out is carried out now: no process of it is alive.
        What::CancelRequested { reason, .. } => (What::Cancelled { reason: reason.clone(), outcome: None }, None),
        What::Started { .. } => match interrupted(reason.to_owned(), &entry) {
            Next::Requeue(reason) => (What::Interrupted { reason }, Some(again(&entry, now))),
            Next::Fail(failure) => (What::Failed { failure, outcome: Outcome::default() }, None),
            Next::Complete | Next::Cancel(_) | Next::RetryAfter(..) => return None,
        },
        _ => return None,
    };
    Some(Revival { event: Event::new(last.task_id, last.department.clone(), last.attempt, now, what), entry })
}

/// The entry that follows an interruption: the same attempt once more.
#[must_use]
pub fn again(entry: &QueueEntry, now: Timestamp) -> QueueEntry {
    QueueEntry { interruptions: entry.interruptions.saturating_add(1), queued_at: now, ..entry.clone() }
}

/// The entry that follows an attempt that failed: the next one.
#[must_use]
pub fn once_more(entry: &QueueEntry, now: Timestamp) -> QueueEntry {
    QueueEntry { attempt: entry.attempt.saturating_add(1), queued_at: now, ..entry.clone() }
}

#[cfg(test)]
mod tests;
