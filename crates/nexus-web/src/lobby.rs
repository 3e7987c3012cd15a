//! Where connections wait that have not shown the token: bounded, so that they keep nobody else out.
//!
//! Whoever comes next gets in: the one that has waited longest goes. So neither half a request nor an idle connection closes
//! the door, and health is answered even then.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Connections at a time that have not shown the token.
const WAITING: usize = 128;
/// Connections at a time that have. HTTP/1 has one request in flight on each, so this bounds requests too: with bodies of
/// 1.25 MiB to 320 MiB at the very worst, and with those that wait to less than half of the usual 1,024 descriptors.
const ADMITTED: usize = 256;
/// At most one warning in this time.
const QUIET: Duration = Duration::from_secs(60);

/// The places for connections.
#[derive(Clone, Debug)]
pub(crate) struct Lobby {
    waiting: Arc<Mutex<Waiting>>,
    admitted: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    /// The longest there comes first.
    line: VecDeque<(u64, CancellationToken)>,
    warned: Option<Instant>,
}

/// The place of one connection, which ends with it.
#[derive(Debug)]
pub(crate) struct Place {
    id: u64,
    lobby: Lobby,
    /// Cancelled when somebody else needs the place.
    pub(crate) gone: CancellationToken,
    admitted: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Lobby {
    pub(crate) fn new() -> Self {
        Self { waiting: Arc::default(), admitted: Arc::new(Semaphore::new(ADMITTED)) }
    }

    /// A place for a connection that was accepted just now.
    pub(crate) fn enter(&self) -> Place {
        let gone = CancellationToken::new();
        let mut waiting = self.waiting();
        let id = waiting.next;
        waiting.next += 1;
        waiting.line.push_back((id, gone.clone()));
        if waiting.line.len() > WAITING
            && let Some((_, longest)) = waiting.line.pop_front()
        {
            longest.cancel();
            waiting.warn(&format!(
                "more than {WAITING} connections wait without having shown the token: the oldest are closed"
            ));
        }
        drop(waiting);
        Place { id, lobby: self.clone(), gone, admitted: Mutex::new(None) }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn warn(&mut self, words: &str) {
        if self.warned.is_none_or(|at| at.elapsed() > QUIET) {
            self.warned = Some(Instant::now());
            tracing::warn!("{words}");
        }
    }
}

impl Place {
    /// Keeps the place for as long as the connection lasts; false: there is none left.
    pub(crate) fn admit(&self) -> bool {
        let mut admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        if admitted.is_none() {
            let Ok(permit) = Arc::clone(&self.lobby.admitted).try_acquire_owned() else {
                self.lobby
                    .waiting()
                    .warn(&format!("all {ADMITTED} places for connections are taken: more are refused"));
                return false;
            };
            *admitted = Some(permit);
            self.leave();
        }
        true
    }

    fn leave(&self) {
        self.lobby.waiting().line.retain(|(id, _)| *id != self.id);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_waits_longest_makes_room_for_the_next() {
        let lobby = Lobby::new();
        let places: Vec<_> = (0..=WAITING).map(|_| lobby.enter()).collect();
        let gone: Vec<_> = places.iter().map(|place| place.gone.is_cancelled()).collect();
        assert!(gone[0] && !gone[1..].contains(&true));
    }

    #[test]
    fn one_that_was_admitted_stays_however_many_come() {
        let lobby = Lobby::new();
        let first = lobby.enter();
        assert!(first.admit() && first.admit());
        let _others: Vec<_> = (0..2 * WAITING).map(|_| lobby.enter()).collect();
        assert!(!first.gone.is_cancelled());
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_ends() {
        let lobby = Lobby::new();
        let all: Vec<_> = (0..ADMITTED).map(|_| lobby.enter()).collect();
        assert!(all.iter().all(Place::admit));
        assert!(!lobby.enter().admit());
        drop(all);
        assert!(lobby.enter().admit());
        assert!(lobby.waiting().line.is_empty());
    }
}
