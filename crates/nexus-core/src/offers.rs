//! Who takes the next task: workers that are idle, those that will be in a moment, and what has been brought for these.

use std::collections::VecDeque;
use std::time::Duration;

use crate::id::WorkerName;

/// Workers that offer themselves, and tasks that were brought for those who are still writing down how their last one ended.
#[derive(Debug)]
pub struct Offers<W, T> {
    /// At most one entry a worker.
    idle: VecDeque<(WorkerName, W)>,
    /// At most one entry a worker, and none that is idle.
    soon: Vec<(WorkerName, Duration)>,
    /// No more than there are workers who will be idle soon.
    brought: VecDeque<T>,
}

/// The time for which it is believed of a worker that it will be idle in a moment: as a rule a way to the broker and back.
const MOMENT: Duration = Duration::from_secs(1);

impl<W, T> Default for Offers<W, T> {
    fn default() -> Self {
        Self { idle: VecDeque::new(), soon: Vec::new(), brought: VecDeque::new() }
    }
}

impl<W, T> Offers<W, T> {
    /// This worker is free. If something waits for it, it is given that at once.
    pub fn idle(&mut self, name: WorkerName, worker: W) -> Option<(W, T)> {
        self.forget(&name);
        if let Some(task) = self.brought.pop_front() {
            return Some((worker, task));
        }
        self.idle.push_back((name, worker));
        None
    }

    /// This worker will be free in a moment, from `now` on; the time is any that doesn't go back.
    pub fn soon(&mut self, name: WorkerName, now: Duration) {
        self.forget(&name);
        self.soon.push((name, now));
    }

    /// This worker is leaving. Returns what was meant for it.
    pub fn gone(&mut self, name: &WorkerName) -> Vec<T> {
        self.forget(name);
        self.surplus()
    }

    /// Items that were brought for workers that haven't become idle for long: their broker is away, say, or they have failed.
    pub fn late(&mut self, now: Duration) -> Vec<T> {
        self.soon.retain(|(_, since)| now.saturating_sub(*since) < MOMENT);
        self.surplus()
    }

    /// Tasks that can be asked for.
    #[must_use]
    pub fn wanted(&self) -> usize {
        (self.idle.len() + self.soon.len()).saturating_sub(self.brought.len())
    }

    /// Gives a task to a worker that is idle, or keeps it for one that will be.
    ///
    /// # Errors
    ///
    /// The task, when nobody has a use for it any more.
    pub fn give(&mut self, task: T) -> Result<Option<(W, T)>, T> {
        if let Some((_, worker)) = self.idle.pop_front() {
            return Ok(Some((worker, task)));
        }
        if self.brought.len() >= self.soon.len() {
            return Err(task);
        }
        self.brought.push_back(task);
        Ok(None)
    }

    /// Everything that was brought and that nobody has yet.
    pub fn close(&mut self) -> Vec<T> {
        self.brought.drain(..).collect()
    }

    fn forget(&mut self, name: &WorkerName) {
        self.idle.retain(|(known, _)| known != name);
        self.soon.retain(|(known, _)| known != name);
    }

    /// The last that were brought, beyond what workers will soon be there for.
    fn surplus(&mut self) -> Vec<T> {
        let kept = self.brought.len().min(self.soon.len());
        self.brought.split_off(kept).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Tasks = Offers<&'static str, u32>;

    fn name(name: &str) -> WorkerName {
        WorkerName::new(name).unwrap()
    }

    const NONE: [u32; 0] = [];

    /// Workers `a` and `b`, who will be idle in a moment, and a task for each.
    fn two_that_write() -> (Tasks, Duration) {
        let (mut offers, now) = (Tasks::default(), Duration::from_secs(7));
        for worker in ["a", "b"] {
            offers.soon(name(worker), now);
        }
        for task in [1, 2] {
            assert_eq!(offers.give(task), Ok(None));
        }
        (offers, now)
    }

    #[test]
    fn a_task_goes_to_who_is_idle_and_else_to_who_is_first() {
        let mut offers = Tasks::default();
        assert_eq!(offers.idle(name("c"), "c"), None);
        assert_eq!(offers.wanted(), 1);
        assert_eq!(offers.give(0), Ok(Some(("c", 0))));
        let (mut offers, _) = two_that_write();
        assert_eq!((offers.wanted(), offers.give(3)), (0, Err(3)));
        assert_eq!(offers.idle(name("b"), "b"), Some(("b", 1)));
        assert_eq!(offers.idle(name("a"), "a"), Some(("a", 2)));
        assert_eq!((offers.idle(name("a"), "a"), offers.wanted()), (None, 1));
    }

    #[test]
    fn a_worker_counts_once_however_often_it_offers_itself() {
        let (mut offers, now) = (Tasks::default(), Duration::from_secs(7));
        for _ in 0..2 {
            offers.soon(name("a"), now);
            assert_eq!(offers.wanted(), 1);
        }
        for _ in 0..2 {
            assert_eq!((offers.idle(name("a"), "a"), offers.wanted()), (None, 1));
        }
        assert_eq!(offers.give(1), Ok(Some(("a", 1))));
        assert_eq!(offers.give(2), Err(2));
    }

    #[test]
    fn what_was_meant_for_one_that_leaves_or_fails_is_given_back() {
        let (mut offers, _) = two_that_write();
        assert_eq!(offers.gone(&name("a")), [2]);
        assert_eq!(offers.gone(&name("c")), NONE);
        assert_eq!(offers.gone(&name("b")), [1]);
        let (mut offers, now) = two_that_write();
        assert_eq!(offers.late(now), NONE);
        offers.soon(name("b"), now + MOMENT);
        assert_eq!(offers.late(now + MOMENT), [2]);
        assert_eq!(offers.idle(name("b"), "b"), Some(("b", 1)));
        let (mut offers, _) = two_that_write();
        assert_eq!(offers.close(), [1, 2]);
        assert_eq!(offers.wanted(), 2);
    }
}
