//! The going on of a task whose attempt is over without an end of its own: what is written, and what is queued.

use std::time::Duration;

use jiff::Timestamp;

use crate::event::{Event, Outcome, What};
use crate::retry::{Next, interrupted};
use crate::run::RunReport;
use crate::task::QueueEntry;

/// The records that are written in place of a holder that is gone.
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
    let mut entry = QueueEntry { attempt: last.attempt, ..entry.clone() };
    // What it did after its last word, nobody knows.
    if let What::Progressed { of, agent, run, ran_ms } = &last.what {
        entry = entry.leaving(&of.node, agent, Some(run), Duration::from_millis(*ran_ms));
    }
    let (what, entry) = match &last.what {
        // A cancel that its holder didn't live to carry out is carried out now: no process of it is alive.
        What::CancelRequested { reason, .. } => (What::Cancelled { reason: reason.clone(), outcome: None }, None),
        What::Started { .. } | What::Progressed { .. } => match interrupted(reason.to_owned(), &entry) {
            Next::Requeue(reason) => (What::Interrupted { reason, run: run(last) }, Some(again(&entry, now))),
            Next::Fail(failure) => (What::Failed { failure, outcome: outcome(last) }, None),
            Next::Complete | Next::Cancel(_) | Next::RetryAfter(..) | Next::Defer { .. } => return None,
        },
        _ => return None,
    };
    Some(Revival { event: Event::new(last.task_id, last.department.clone(), last.attempt, now, what), entry })
}

/// The known part of the run of an attempt whose holder can't tell it any more.
fn run(last: &Event) -> Option<RunReport> {
    match &last.what {
        What::Progressed { run, .. } => Some(run.clone()),
        _ => None,
    }
}

fn outcome(last: &Event) -> Outcome {
    Outcome { run: run(last), ..Outcome::default() }
}

/// The entry that follows an interruption: the same attempt once more.
#[must_use]
pub fn again(entry: &QueueEntry, now: Timestamp) -> QueueEntry {
    QueueEntry { interruptions: entry.interruptions.saturating_add(1), ..later(entry, now) }
}

/// The entry that follows an attempt that was deferred: the same attempt, and nothing is counted.
#[must_use]
pub fn later(entry: &QueueEntry, now: Timestamp) -> QueueEntry {
    QueueEntry { queued_at: now, after: None, logged: None, ..entry.clone() }
}

/// The entry that follows an attempt that failed: the next one, which begins anew.
#[must_use]
pub fn once_more(entry: &QueueEntry, now: Timestamp) -> QueueEntry {
    QueueEntry { attempt: entry.attempt.saturating_add(1), resume: None, ..later(entry, now) }
}

/// The entry that follows an attempt that failed and goes on at once, whose holder has not lived to queue it. `entry` is one
/// that the attempt came from, and `seq` is that of its last event. `None`: no such entry follows.
#[must_use]
pub fn unqueued(last: &Event, seq: u64, entry: &QueueEntry, now: Timestamp) -> Option<QueueEntry> {
    let What::AttemptFailed { outcome, .. } = &last.what else { return None };
    if !last.goes_on_at_once() {
        return None;
    }
    let came_from = QueueEntry { attempt: last.attempt, ..entry.clone() };
    let left = came_from.spending(outcome.run.as_ref(), Duration::from_millis(outcome.duration_ms));
    Some(QueueEntry { after: Some(seq), ..once_more(&left, now) })
}

#[cfg(test)]
mod tests;
