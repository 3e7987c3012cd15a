//! This node's own lease: while it is held, nobody gives this node's work to another. It starts no agent without it, ends
//! all of them in time when it can't be renewed, and has its guard do so when it can't do even that.

use std::sync::Arc;
use std::time::Duration;

use nexus_bus::Bus;
use nexus_core::lease::{Holder, LeaseKey, Terms};
use nexus_process::clock::since_boot;
use nexus_process::guard::Guard;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::gate::{Roster, installed};
use crate::lease::Lease;
use crate::runtime::StartError;

/// The time until which this node may go on.
#[derive(Debug)]
pub(crate) struct Tenure {
    now: watch::Receiver<State>,
    stop: std::sync::Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    term: Term,
    /// By [`since_boot`].
    until: Duration,
}

impl State {
    /// The lease is held until then. Where it had lapsed before that was known, its guard may have ended the agents: what was
    /// begun before is not gone on with.
    const fn held(self, until: Duration, now: Duration) -> Self {
        let breaks = if now.as_nanos() < self.until.as_nanos() { 0 } else { 1 };
        Self { term: Term(self.term.0 + breaks), until }
    }
}

/// A time for which the lease was held without a break. What was begun in one term is not gone on with in the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Term(u64);

/// Wait before a lease that was lost is asked for again.
const AGAIN: Duration = Duration::from_millis(500);
/// The longest time that the broker may take to hear that this node leaves.
const FAREWELL: Duration = Duration::from_secs(2);

impl Tenure {
    /// Takes the node's lease and keeps it. `alone`: no other node can reach the broker, so nothing depends on the lease.
    /// `roster`: of these departments' agents others are told which this node has.
    pub(crate) async fn begin(
        bus: &Bus,
        (holder, roster): (&Holder, &Roster),
        terms: Terms,
        alone: bool,
        guard: Option<Guard>,
    ) -> Result<Self, StartError> {
        for (other, state) in bus.nodes().await? {
            let theirs = state.holder.map_or(holder.lease_ms, |holder| holder.lease_ms);
            if other != holder.node && theirs != holder.lease_ms {
                return Err(StartError::LeaseDiffers { other, theirs, ours: holder.lease_ms });
            }
        }
        let key = LeaseKey::Node(holder.node.clone());
        // Whoever held it was an earlier run of this node: the data directory's lock says that it is over.
        let over = bus.lease(&key).await?.seq;
        let lease = Lease::take(bus, key, holder.clone(), terms, over).await?;
        let first = if alone { Duration::MAX } else { lease.held_until() };
        let (sender, now) = watch::channel(State { term: Term(0), until: first });
        let (stop, stopped) = oneshot::channel();
        let (holder, roster) = (holder.clone(), Arc::clone(roster));
        let keeper = Keeper { bus: bus.clone(), holder, roster, terms, alone, guard, now: sender };
        let task = tokio::spawn(keeper.run(lease, stopped));
        Ok(Self { now, stop: std::sync::Mutex::new(Some((stop, task))) })
    }

    /// The term that goes on, if the lease is held: only then agents may be started.
    pub(crate) fn term(&self) -> Option<Term> {
        let State { term, until } = *self.now.borrow();
        (since_boot() < until).then_some(term)
    }

    /// True if the lease has been held ever since.
    pub(crate) fn holds(&self, term: Term) -> bool {
        self.term() == Some(term)
    }

    /// Resolves when a term is over.
    pub(crate) async fn lapsed(&self, term: Term) {
        let mut now = self.now.clone();
        loop {
            let state = *now.borrow_and_update();
            let left = state.until.saturating_sub(since_boot());
            if state.term != term || left.is_zero() {
                return;
            }
            tokio::select! {
                () = sleep(left) => {}
                changed = now.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Gives the lease back, and returns when the guard has gone.
    pub(crate) async fn end(&self) {
        let stop = self.stop.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some((stop, task)) = stop {
            let _ = stop.send(());
            let _ = task.await;
        }
    }
}

struct Keeper {
    bus: Bus,
    holder: Holder,
    roster: Roster,
    terms: Terms,
    alone: bool,
    guard: Option<Guard>,
    now: watch::Sender<State>,
}

impl Keeper {
    async fn run(self, mut lease: Lease, mut stopped: oneshot::Receiver<()>) {
        loop {
            self.goes_on(&lease).await;
            if !self.alone && !self.roster.load().is_empty() {
                lease.tell(installed(&self.roster));
            }
            let lost = tokio::select! {
                renewed = lease.renewed() => match renewed {
                    Ok(()) => continue,
                    Err(lost) => lost,
                },
                _ = &mut stopped => break,
            };
            if self.alone {
                tracing::debug!("this node's lease: {lost}; nobody else is there to take over");
            } else {
                tracing::warn!("this node's lease is lost, and its agents are ended: {lost}");
            }
            if !self.alone {
                // Also where it was taken before its time.
                self.now.send_modify(|state| state.until = Duration::ZERO);
            }
            tokio::select! {
                again = self.again() => lease = again,
                _ = &mut stopped => break,
            }
        }
        // Before others hear that this node has left: what a stop that took too long has left alive is ended by it.
        if let Some(guard) = self.guard {
            guard.close().await;
        }
        let _ = timeout(FAREWELL, lease.release()).await;
    }

    /// Said to the guard first: as long as it is ending agents, none may be started.
    async fn goes_on(&self, lease: &Lease) {
        if self.alone {
            return;
        }
        if let Some(guard) = &self.guard {
            let left = lease.held_until() - self.terms.held() + self.terms.last_call();
            if let Err(error) = guard.hold(Some(left.saturating_sub(since_boot()))).await {
                tracing::warn!("the guard was not told that this node goes on: {error}");
            }
        }
        self.now.send_modify(|state| *state = state.held(lease.held_until(), since_boot()));
    }

    async fn again(&self) -> Lease {
        let key = LeaseKey::Node(self.holder.node.clone());
        loop {
            match self.bus.lease(&key).await {
                Ok(state) if state.holder.as_ref().is_none_or(|holder| holder.run == self.holder.run) => {
                    let taken = Lease::take(&self.bus, key.clone(), self.holder.clone(), self.terms, state.seq).await;
                    match taken {
                        Ok(lease) => return lease,
                        Err(error) => tracing::debug!("this node's lease: {error}"),
                    }
                }
                Ok(_) => tracing::error!(
                    "another process runs as the node {}: is its data directory a copy of this one?",
                    self.holder.node
                ),
                Err(error) => tracing::debug!("this node's lease: {error}"),
            }
            sleep(AGAIN).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_that_had_lapsed_when_it_was_renewed_begins_a_new_term() {
        let secs = Duration::from_secs;
        let first = State { term: Term(0), until: secs(10) };
        let second = first.held(secs(15), secs(9));
        assert_eq!((second.term, second.until), (Term(0), secs(15)));
        // The process stood still with the answer on its way, and its guard has ended its agents meanwhile.
        assert_eq!(second.held(secs(20), secs(15)).term, Term(1));
        assert_eq!(State { until: Duration::ZERO, ..second }.held(secs(20), secs(12)).term, Term(1));
    }
}
