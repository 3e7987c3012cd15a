//! Which queue to pull from next, and whether what was pulled may start.

use crate::event::{Event, What};
use crate::id::Priority;
use crate::lane::Lane;
use crate::task::QueueEntry;

/// Of this many pulls by priority, one goes to the least served lower one that has work: urgent work never starves the rest.
const LOW_SHARE: u32 = 8;

/// Which lanes of a department's queue may hold work, and whose turn it is.
#[derive(Clone, Debug)]
pub struct Shares {
    waiting: [bool; Lane::COUNT],
    pulls: u32,
    last_low: usize,
}

impl Default for Shares {
    /// Everything may hold work until a pull has shown otherwise.
    fn default() -> Self {
        Self { waiting: [true; Lane::COUNT], pulls: 0, last_low: Priority::COUNT }
    }
}

impl Shares {
    /// Work may wait in this lane.
    pub const fn woken(&mut self, lane: Lane) {
        self.waiting[lane.index()] = true;
    }

    /// Any lane may hold work again: time to look everywhere (a redelivery and a due retry wake nobody).
    pub const fn woken_all(&mut self) {
        self.waiting = [true; Lane::COUNT];
    }

    /// A pull came back with less than it asked for.
    pub const fn drained(&mut self, lane: Lane) {
        self.waiting[lane.index()] = false;
    }

    /// The pull that was picked last, from this lane, has brought nothing: its turn is another's.
    pub const fn returned(&mut self, lane: Lane) {
        if let Lane::Priority(_) = lane {
            self.pulls = self.pulls.wrapping_sub(1);
        }
    }

    /// The lane to pull from next, if any may hold work: what was interrupted, then the most urgent, and every eighth time a
    /// lower one in turn. What was interrupted takes nobody's turn, and keeps the others waiting for as long only as there
    /// is some: no task comes back more than [`crate::retry::MAX_INTERRUPTIONS`] times.
    pub fn pick(&mut self) -> Option<Lane> {
        if self.waiting[Lane::Again.index()] {
            return Some(Lane::Again);
        }
        self.pick_priority().map(Lane::Priority)
    }

    fn pick_priority(&mut self) -> Option<Priority> {
        let top = Priority::descending().find(|p| self.waiting[p.index()])?;
        self.pulls = self.pulls.wrapping_add(1);
        if !self.pulls.is_multiple_of(LOW_SHARE) {
            return Some(top);
        }
        let below =
            |from: usize| Priority::descending().find(|p| p.index() < from.min(top.index()) && self.waiting[p.index()]);
        let low = below(self.last_low).or_else(|| below(Priority::COUNT)).unwrap_or(top);
        self.last_low = low.index();
        Some(low)
    }
}

/// What to do with a queue entry that was pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Publish `started`, expecting this to be the sequence of the task's last event (0: there is none).
    Start { expect: u64 },
    /// The entry is out of date: acknowledge it, and run nothing.
    Drop,
    /// Another attempt of this task runs, or ended without a word: its holder must be shown to be gone first.
    Held,
}

/// Whether an entry may start, by the task's last event and its sequence. `None`: nothing has happened to it yet.
#[must_use]
pub fn admit(entry: &QueueEntry, last: Option<(&Event, u64)>) -> Admission {
    let Some((event, seq)) = last else { return Admission::Start { expect: 0 } };
    match &event.what {
        What::Completed { .. } | What::Failed { .. } | What::Cancelled { .. } => Admission::Drop,
        What::Started { .. } | What::CancelRequested { .. } => Admission::Held,
        // The entry of an attempt that is over already: its successor is on the queue or scheduled.
        What::AttemptFailed { .. } if entry.attempt <= event.attempt => Admission::Drop,
        What::Interrupted { .. } | What::AttemptFailed { .. } | What::Retried { .. } => {
            Admission::Start { expect: seq }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Failure, FailureKind, Outcome};
    use crate::id::{AgentName, DepartmentName, NodeId, TaskId, WorkerName};
    use crate::task::Task;
    use jiff::Timestamp;
    use proptest::prelude::*;

    fn only(priorities: &[u64]) -> Shares {
        let mut shares = Shares::default();
        for lane in Lane::all().filter(|lane| !priorities.iter().any(|p| p.to_string() == lane.to_string())) {
            shares.drained(lane);
        }
        shares
    }

    fn priority(lane: Lane) -> u8 {
        let Lane::Priority(priority) = lane else { panic!("nothing was interrupted") };
        priority.get()
    }

    fn picks(shares: &mut Shares, n: usize) -> Vec<u8> {
        (0..n).filter_map(|_| shares.pick()).map(priority).collect()
    }

    #[test]
    fn what_was_interrupted_comes_first_and_takes_nobodys_turn() {
        let mut shares = only(&[9, 0]);
        assert_eq!(picks(&mut shares, 6), [9; 6]);
        for _ in 0..20 {
            shares.woken(Lane::Again);
            assert_eq!(shares.pick(), Some(Lane::Again));
        }
        shares.drained(Lane::Again);
        shares.returned(Lane::Again);
        assert_eq!(picks(&mut shares, 3), [9, 0, 9]);
    }

    #[test]
    fn urgent_first_and_every_eighth_pull_goes_lower_in_turn() {
        let mut shares = only(&[9, 5, 0]);
        assert_eq!(picks(&mut shares, 24), [9, 9, 9, 9, 9, 9, 9, 5, 9, 9, 9, 9, 9, 9, 9, 0, 9, 9, 9, 9, 9, 9, 9, 5]);
    }

    #[test]
    fn an_empty_pull_costs_no_turn() {
        let mut shares = Shares::default();
        // Looked at again and again, as an idle department does, and found empty.
        shares.drained(Lane::Again);
        assert_eq!(picks(&mut shares, 7), [9; 7]);
        let mut seen = Vec::new();
        while seen.last() != Some(&0) {
            let pick = shares.pick().unwrap();
            seen.push(priority(pick));
            if priority(pick) != 0 {
                shares.drained(pick);
                shares.returned(pick);
            }
        }
        assert_eq!(seen, [8, 7, 6, 5, 4, 3, 2, 1, 0]);
    }

    #[test]
    fn one_queue_gets_every_pull_and_none_gets_none() {
        assert_eq!(picks(&mut only(&[5]), 20), [5; 20]);
        assert_eq!(only(&[]).pick(), None);
    }

    proptest! {
        /// Whatever waits, and however urgent the rest is, it is pulled within 8 pulls a priority.
        #[test]
        fn nothing_starves(mask in 1_u16..1024) {
            let waiting: Vec<u64> = (0..10).filter(|p| mask & (1 << p) != 0).collect();
            let mut shares = only(&waiting);
            let seen = picks(&mut shares, LOW_SHARE as usize * Priority::COUNT);
            for p in waiting {
                prop_assert!(seen.iter().any(|s| u64::from(*s) == p), "{p} starved: {seen:?}");
            }
        }
    }

    #[test]
    fn what_has_ended_or_is_held_does_not_start_again() {
        let id = TaskId::from_idempotency_key("x");
        let department = DepartmentName::new("qa").unwrap();
        let task = Task {
            id,
            department: department.clone(),
            description: "x".into(),
            task_type: "t".into(),
            project_path: "/".into(),
            context: None,
            preferred_agent: None,
            priority: Priority::DEFAULT,
            timeout_seconds: None,
            max_attempts: None,
            not_before: None,
            created_at: Timestamp::UNIX_EPOCH,
            traceparent: None,
        };
        let entry = |attempt| QueueEntry { attempt, ..QueueEntry::first(task.clone()) };
        let event = |attempt, what| Event::new(id, department.clone(), attempt, Timestamp::UNIX_EPOCH, what);
        let failure = Failure { kind: FailureKind::Exit, message: String::new() };
        let started = What::Started {
            node: NodeId::new("n").unwrap(),
            worker: WorkerName::new("worker-0").unwrap(),
            agent: AgentName::new("shell").unwrap(),
            delivery: String::new(),
        };
        let retry = What::AttemptFailed {
            failure: failure.clone(),
            outcome: Outcome::default(),
            retry_at: Timestamp::UNIX_EPOCH,
        };
        let table = [
            (1, What::Completed { outcome: Outcome::default() }, Admission::Drop),
            (1, What::Failed { failure, outcome: Outcome::default() }, Admission::Drop),
            (1, What::Cancelled { reason: String::new(), outcome: None }, Admission::Drop),
            (1, started, Admission::Held),
            (1, What::CancelRequested { reason: String::new() }, Admission::Held),
            (1, What::Interrupted { reason: String::new() }, Admission::Start { expect: 7 }),
            (1, retry.clone(), Admission::Drop),
            (2, retry, Admission::Start { expect: 7 }),
            (1, What::Retried { reason: String::new() }, Admission::Start { expect: 7 }),
        ];
        for (attempt, what, expected) in table {
            let event = event(1, what);
            assert_eq!(admit(&entry(attempt), Some((&event, 7))), expected, "{event:?}");
        }
        assert_eq!(admit(&entry(1), None), Admission::Start { expect: 0 });
    }
}
