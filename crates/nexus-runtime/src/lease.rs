//! A lease in this node's hands: renewed in time, and known to be held or not by a clock that never stops.

use std::time::Duration;

use nexus_bus::{Bus, BusError};
use nexus_core::id::AgentName;
use nexus_core::lease::{Holder, LeaseKey, Terms};
use nexus_process::clock::since_boot;
use tokio::time::{sleep, timeout};

/// A lease that this node has taken.
#[derive(Debug)]
pub(crate) struct Lease {
    bus: Bus,
    key: LeaseKey,
    holder: Holder,
    terms: Terms,
    seq: u64,
    /// When the last renewal was asked for that was confirmed: the broker can't count from an earlier moment.
    since: Duration,
}

/// Why a lease is not held any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    #[error("it could not be renewed in time: {0}")]
    Lapsed(String),
    #[error("another process has taken it")]
    Taken,
}

impl Lease {
    /// Takes a lease whose last write was `over`. [`BusError::Conflict`]: somebody else has written it since.
    pub(crate) async fn take(
        bus: &Bus,
        key: LeaseKey,
        holder: Holder,
        terms: Terms,
        over: u64,
    ) -> Result<Self, BusError> {
        let since = since_boot();
        let seq = bus.take_lease(&key, &holder, over).await?;
        Ok(Self { bus: bus.clone(), key, holder, terms, seq, since })
    }

    /// Until when it is held, by [`since_boot`].
    pub(crate) fn held_until(&self) -> Duration {
        self.since + self.terms.held()
    }

    /// Says with the next renewals that its node has these agents.
    pub(crate) fn tell(&mut self, agents: Vec<AgentName>) {
        self.holder.agents = Some(agents);
    }

    /// Waits until it is time, and renews it. An error means that it is held no more.
    pub(crate) async fn renewed(&mut self) -> Result<(), Lost> {
        let mut next = self.since + self.terms.period();
        loop {
            sleep(next.saturating_sub(since_boot())).await;
            let left = self.held_until().saturating_sub(since_boot());
            match timeout(left, self.renew()).await {
                Ok(Ok(())) if !left.is_zero() => return Ok(()),
                Ok(Err(BusError::Conflict)) => return Err(Lost::Taken),
                Ok(Err(error)) if since_boot() < self.held_until() => {
                    tracing::debug!(lease = %self.key, "not renewed: {error}");
                    next = since_boot() + self.terms.period() / 8;
                }
                Ok(Err(error)) => return Err(Lost::Lapsed(error.to_string())),
                Ok(Ok(())) => {
                    return Err(Lost::Lapsed("this process, its machine or the broker stood still".to_owned()));
                }
                Err(_) => return Err(Lost::Lapsed("the broker did not answer".to_owned())),
            }
        }
    }

    async fn renew(&mut self) -> Result<(), BusError> {
        let asked = since_boot();
        self.holder.beat += 1;
        self.seq = match self.bus.take_lease(&self.key, &self.holder, self.seq).await {
            Err(BusError::Conflict) => {
                // A renewal whose answer was given up waiting for may have been stored all the same.
                let state = self.bus.lease(&self.key).await?;
                if state.holder.as_ref().is_some_and(|holder| holder.run != self.holder.run) {
                    return Err(BusError::Conflict);
                }
                self.bus.take_lease(&self.key, &self.holder, state.seq).await?
            }
            other => other?,
        };
        self.since = asked;
        Ok(())
    }

    /// Gives it back, so that nobody waits for it to lapse.
    pub(crate) async fn release(self) {
        let released = async {
            // A renewal may have been cut short after it was stored.
            let state = self.bus.lease(&self.key).await?;
            match state.holder {
                Some(holder) if holder.run == self.holder.run => self.bus.release_lease(&self.key, state.seq).await,
                _ => Ok(()),
            }
        };
        if let Err(error) = released.await {
            tracing::debug!(lease = %self.key, "not given back: {error}");
        }
    }
}
