//! The record of a task that has failed for good: the payload of `nexus.dead.<department>.<task>`.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Failure, What};
use crate::task::Task;

/// A task that failed and is not tried again, with what happened to it; there is one for a task at most, until it is
/// retried (`nexus retry`, `cde_retryTask`) or its retention is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeadTask {
    /// Version of the stored form.
    pub v: u32,
    pub task: Task,
    pub failure: Failure,
    /// Attempts that were made since the task was submitted or put back by hand; an interrupted one doesn't count.
    pub attempts: u32,
    /// All its events, in order, the failure last. Together they have 512 KiB at most: where they would be larger, the
    /// output goes (`truncated` says so; the log has it), from the oldest on, and after that the oldest events.
    pub history: Vec<Event>,
    /// Events before those of `history` that found no room there.
    #[serde(default)]
    pub left_out: u64,
    /// When it failed.
    #[schemars(with = "String")]
    pub at: Timestamp,
}

/// Bytes of a [`DeadTask`]'s history, as JSON: half of what NATS takes in one message unless told otherwise. The other half
/// is for the task, which came in one message itself.
pub const MAX_HISTORY: usize = 512 * 1024;

/// Makes events fit `limit` bytes of JSON: outputs go before events, and what is old before what is new. Returns how many
/// events had to go; the last one always stays.
pub fn shorten(events: &mut Vec<Event>, limit: usize) -> u64 {
    let mut sizes: Vec<_> = events.iter().map(size).collect();
    let mut total: usize = sizes.iter().sum();
    let last = events.len().saturating_sub(1);
    let mut without_output = |range: std::ops::Range<usize>, events: &mut Vec<Event>, total: &mut usize| {
        for n in range {
            if *total > limit && forget_output(&mut events[n]) {
                *total -= sizes[n];
                sizes[n] = size(&events[n]);
                *total += sizes[n];
            }
        }
    };
    without_output(0..last, events, &mut total);
    without_output(last..events.len(), events, &mut total);
    let mut gone = 0;
    while total > limit && gone < last {
        total -= sizes[gone];
        gone += 1;
    }
    events.drain(..gone);
    gone as u64
}

fn size(event: &Event) -> usize {
    // What can't be written isn't stored either.
    serde_json::to_vec(event).map_or(0, |json| json.len())
}

/// Returns whether there was any.
fn forget_output(event: &mut Event) -> bool {
    let outcome = match &mut event.what {
        What::AttemptFailed { outcome, .. } | What::Failed { outcome, .. } | What::Completed { outcome } => outcome,
        What::Cancelled { outcome: Some(outcome), .. } => outcome,
        _ => return false,
    };
    outcome.forget_outputs()
}

#[cfg(test)]
mod tests;
