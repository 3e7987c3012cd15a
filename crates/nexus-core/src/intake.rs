//! Which queue to pull from next.

use crate::id::Priority;
use crate::lane::Lane;

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

#[cfg(test)]
mod tests {
    use super::*;
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
}
