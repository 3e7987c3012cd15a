//! The policy of an attempt: its limits, and how it is ended.

use std::time::Duration;

use crate::budget::{Budget, Spent};
use crate::department::{Limits, StopPolicy};
use crate::units::Span;

/// The limits of an attempt, and how it is ended. Times are monotonic, since the attempt began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    pub wall_time: Option<Duration>,
    pub idle_time: Option<Duration>,
    /// Longest wait for the first thing that an agent says which speaks in messages.
    pub first_event: Duration,
    /// Bytes of output.
    pub output: Option<u64>,
    /// The budget of the task, for all its attempts together.
    pub budget: Budget,
    pub interrupt_grace: Duration,
    pub terminate_grace: Duration,
}

impl Policy {
    /// The department's limits, with the task's own time-out where that is shorter.
    #[must_use]
    pub fn new(limits: &Limits, stop: &StopPolicy, timeout_seconds: Option<u64>) -> Self {
        let own = timeout_seconds.map(|secs| Duration::from_secs(secs).min(Span::LONGEST.get()));
        let department = limits.wall_time.map(|span| span.get());
        Self {
            wall_time: own.into_iter().chain(department).min(),
            idle_time: limits.idle_time.map(|span| span.get()),
            first_event: limits.first_event.map_or(FIRST_EVENT, |span| span.get()),
            output: limits.output.map(|size| size.bytes()),
            budget: limits.budget(),
            interrupt_grace: stop.interrupt_grace.get(),
            terminate_grace: stop.terminate_grace.get(),
        }
    }

    /// Longest run of an attempt that follows on what was spent, until it is asked to end.
    #[must_use]
    pub fn longest(&self, spent: &Spent) -> Option<Duration> {
        let left = |whole: Span| whole.get().saturating_sub(Duration::from_millis(spent.wall_ms));
        self.wall_time.into_iter().chain(self.budget.wall_time.map(left)).min()
    }
}

/// The slowest agent that was measured is silent for a minute.
const FIRST_EVENT: Duration = Duration::from_secs(180);
