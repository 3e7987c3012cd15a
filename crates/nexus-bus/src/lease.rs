//! Leases in the KV bucket `nexus_lease`: taken and renewed by compare-and-set, and heard of by whoever waits for one.
//!
//! Leases. A lapse is judged by those who wait, with their own clocks: no renewal for the whole lease, since they
//! have been listening. The keys' time to live only shows others who is there.

use std::time::Duration;

use async_nats::{HeaderName, Subscriber};
use futures_util::StreamExt;
use jiff::Timestamp;
use nexus_core::id::NodeId;
use nexus_core::lease::{Holder, LeaseKey};

use crate::bus::Bus;
use crate::error::{BusError, unreachable};
use crate::ledger::outgoing;
use crate::read::Stored;
use crate::subject;

/// A lease as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseState {
    /// None: nobody holds it.
    pub holder: Option<Holder>,
    /// The sequence that the next to write it has to expect.
    pub seq: u64,
}

const TTL: HeaderName = HeaderName::from_static("Nats-TTL");
/// Nodes that are heard of at once at the most; more are listed in pages.
const PAGE: usize = 256;

impl Bus {
    /// Who holds a lease.
    pub async fn lease(&self, key: &LeaseKey) -> Result<LeaseState, BusError> {
        match self.last(subject::LEASES, &subject::lease(key)).await? {
            Some(stored) => state(&stored),
            None => Ok(LeaseState::default()),
        }
    }

    /// Every node that holds a lease.
    pub async fn nodes(&self) -> Result<Vec<(NodeId, LeaseState)>, BusError> {
        let (mut nodes, mut from) = (Vec::new(), 1);
        loop {
            let (page, more) = self.read(subject::LEASES, subject::ALL_NODES, from, PAGE).await?;
            for stored in &page {
                let state = state(stored)?;
                if let Some(holder) = &state.holder {
                    nodes.push((holder.node.clone(), state));
                }
                from = stored.seq + 1;
            }
            if !more || page.is_empty() {
                return Ok(nodes);
            }
        }
    }

    /// Takes or renews a lease whose last write was `over` (0: there is none), and returns the sequence of this one.
    /// [`BusError::Conflict`]: somebody else has written it since.
    pub async fn take_lease(&self, key: &LeaseKey, holder: &Holder, over: u64) -> Result<u64, BusError> {
        let subject = subject::lease(key);
        let about = key.to_string();
        let mut message = outgoing(subject.clone(), "nexus.lease", &about, Timestamp::now(), None, holder)?;
        // Whole seconds, and at least one; a little longer than the lease, so that a renewal never finds it gone.
        let ttl = Duration::from_millis(holder.lease_ms).as_secs() + 1;
        message.headers.insert(TTL, format!("{ttl}s"));
        self.publish(&message.expecting(&subject, over)).await
    }

    /// Gives a lease back, if its last write was `over`: others need not wait for it to lapse.
    pub async fn release_lease(&self, key: &LeaseKey, over: u64) -> Result<(), BusError> {
        let subject = subject::lease(key);
        let mut message = outgoing(subject.clone(), "nexus.lease", &key.to_string(), Timestamp::now(), None, &())?;
        message.payload = bytes::Bytes::new();
        message.headers.insert(HeaderName::from_static("KV-Operation"), "DEL");
        // It has been heard, or is seen by whoever looks within that time.
        message.headers.insert(TTL, "60s");
        self.publish(&message.expecting(&subject, over)).await.map(|_| ())
    }

    /// Hears every write of a lease from now on.
    pub async fn renewals(&self) -> Result<Renewals, BusError> {
        let subscriber = self.nats.subscribe(subject::ALL_LEASES).await.map_err(unreachable)?;
        self.flush().await;
        Ok(Renewals(subscriber))
    }
}

/// Writes of leases, as they come.
#[derive(Debug)]
pub struct Renewals(Subscriber);

impl Renewals {
    /// Whose lease was written, and by whom; by nobody, when it was given back. None: the connection is closed.
    pub async fn next(&mut self) -> Option<(LeaseKey, Option<Holder>)> {
        loop {
            let message = self.0.next().await?;
            let name = message.subject.strip_prefix("$KV.nexus_lease.").unwrap_or_default();
            let key = match name.strip_prefix("node.") {
                Some(node) => NodeId::new(node).ok().map(LeaseKey::Node),
                None => (name == "ceo").then_some(LeaseKey::Ceo),
            };
            if let Some(key) = key {
                return Some((key, serde_json::from_slice(&message.payload).ok()));
            }
        }
    }
}

fn state(stored: &Stored) -> Result<LeaseState, BusError> {
    let released = stored.payload.is_empty() || stored.header("KV-Operation").is_some();
    let holder = if released { None } else { Some(stored.decode()?) };
    Ok(LeaseState { holder, seq: stored.seq })
}
