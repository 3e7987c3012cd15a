//! The spending of an attempt, told to the purses of its department and its company while it runs.

use std::sync::Arc;
use std::time::Duration;

use nexus_core::attempt::{Attempt, Input};
use nexus_core::budget::Spent;
use nexus_core::id::{DepartmentName, TaskId};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::node::Node;
use crate::purse::Verdict;

/// The purses' side of one attempt; over when this is dropped.
#[derive(Debug)]
pub(super) struct Spending {
    node: Arc<Node>,
    task: TaskId,
    department: DepartmentName,
    began: Instant,
    told: Option<Spent>,
    seconds: Interval,
}

/// The milliseconds between two tellings of time alone.
const TIME: u64 = 1_000;

impl Spending {
    pub(super) fn new(node: Arc<Node>, task: TaskId, department: DepartmentName, began: Instant) -> Self {
        let mut seconds = interval(Duration::from_millis(TIME));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { node, task, department, began, told: None, seconds }
    }

    /// Resolves when time alone is worth telling.
    pub(super) async fn due(&mut self) {
        self.seconds.tick().await;
    }

    /// Tells what was spent by now, if that is more than was told; returns what follows for the attempt, and what its log is to
    /// say.
    pub(super) fn tell(&mut self, attempt: &Attempt) -> (Option<Input>, Option<String>) {
        let wall = self.began.elapsed();
        let spent = attempt.run().map_or_else(|| Spent::time(wall), |run| Spent::of(run.report(), wall));
        if self.told.is_some_and(|told| is_little(spent.since(told))) {
            return (None, None);
        }
        self.told = Some(spent);
        match self.node.purses.spend(self.task, &self.department, spent) {
            Verdict::Within => (None, None),
            Verdict::Warn(words) => (None, Some(words)),
            // A command that has begun ends by itself: it has no session to go on with, and would begin anew every day.
            Verdict::Over { .. } if attempt.run().is_none() => (None, None),
            // Its queue opens when there is a new budget, by the day or by a change of the configuration.
            Verdict::Over { reason, .. } => (Some(Input::Defer { reason, until: None }), None),
        }
    }
}

impl Drop for Spending {
    fn drop(&mut self) {
        self.node.purses.end(self.task);
    }
}

const fn is_little(more: Spent) -> bool {
    more.tokens == 0 && more.turns == 0 && more.cost_micros == 0 && more.wall_ms < TIME
}
