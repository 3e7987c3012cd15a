//! Back-pressure: how many tasks wait in each department right now, exactly enough to hold a bound, and how full the
//! ledger is.
//!
//! The history counts what it has folded; what was accepted since then, or is being accepted, is counted here.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nexus_bus::Bus;
use nexus_core::id::DepartmentName;
use nexus_core::refusal::{Refusal, RefusalKind};
use tokio::time::Instant;

/// Tasks on their way from "accepted" to "counted by the history". Bounded by the questions the CEO has in hand, and by
/// how far the history is behind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backlog(Arc<Mutex<HashMap<DepartmentName, Pending>>>);

#[derive(Debug, Default)]
struct Pending {
    reserved: u64,
    /// Sequences of accepted tasks, ascending but for neighbours.
    accepted: VecDeque<u64>,
}

/// A place in a department's queue, given back unless it is [`Place::filled`].
#[derive(Debug)]
pub(crate) struct Place {
    backlog: Backlog,
    department: DepartmentName,
}

impl Backlog {
    /// Reserves a place, unless `bound` tasks wait already. `counted` wait according to the history at `position`.
    pub(crate) fn reserve(
        &self,
        department: &DepartmentName,
        bound: u64,
        counted: u64,
        position: u64,
    ) -> Result<Place, u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = all.entry(department.clone()).or_default();
        while pending.accepted.front().is_some_and(|seq| *seq <= position) {
            pending.accepted.pop_front();
        }
        let waiting = counted + pending.reserved + pending.accepted.len() as u64;
        if waiting >= bound {
            return Err(waiting);
        }
        pending.reserved += 1;
        Ok(Place { backlog: self.clone(), department: department.clone() })
    }
}

impl Place {
    /// The task is on the ledger, at this sequence.
    pub(crate) fn filled(self, seq: u64) {
        let mut all = self.backlog.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pending) = all.get_mut(&self.department) {
            pending.accepted.push_back(seq);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.backlog.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pending) = all.get_mut(&self.department) {
            pending.reserved = pending.reserved.saturating_sub(1);
        }
    }
}

/// The fill of the ledger, as of at most a second ago; asked for only while work comes in.
#[derive(Debug)]
pub(crate) struct Fill {
    bound: u64,
    seen: tokio::sync::Mutex<Option<(Instant, u64)>>,
}

/// The greatest age of a look at the ledger. At 30,000 submissions of 128 KiB a second that is 4 GiB too many; at 1 KiB, 30 MiB.
const FRESH: Duration = Duration::from_secs(1);

impl Fill {
    pub(crate) fn new(bound: u64) -> Self {
        Self { bound, seen: tokio::sync::Mutex::default() }
    }

    /// Refuses when the ledger holds its bound, or the disk it is on has no room.
    pub(crate) async fn check(&self, bus: &Bus) -> Result<(), Refusal> {
        bus.room()?;
        let mut seen = self.seen.lock().await;
        let bytes = match *seen {
            Some((at, bytes)) if at.elapsed() < FRESH => bytes,
            _ => {
                let (bytes, _) = bus.ledger_extent().await?;
                *seen = Some((Instant::now(), bytes));
                bytes
            }
        };
        if bytes < self.bound {
            return Ok(());
        }
        let message = format!("the ledger holds {bytes} bytes, and its bound is {}", self.bound);
        Err(Refusal::new(RefusalKind::Busy, message).with_help("wait until work is done and its history has expired"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_holds_whether_the_history_is_behind_or_not() {
        let qa = DepartmentName::new("qa").unwrap();
        let backlog = Backlog::default();
        let mut places: Vec<_> = (0..3).map(|_| backlog.reserve(&qa, 3, 0, 0).unwrap()).collect();
        assert_eq!(backlog.reserve(&qa, 3, 0, 0).err(), Some(3));
        // One is given back unused, two are filled at 10 and 11.
        drop(places.pop());
        places.into_iter().zip([10, 11]).for_each(|(place, seq)| place.filled(seq));
        let third = backlog.reserve(&qa, 3, 0, 9).unwrap();
        assert_eq!(backlog.reserve(&qa, 3, 0, 9).err(), Some(3));
        third.filled(12);
        // The history has folded two of them, which still wait; then one of them starts.
        assert_eq!(backlog.reserve(&qa, 3, 2, 11).err(), Some(3));
        assert!(backlog.reserve(&qa, 3, 1, 11).is_ok());
    }
}
