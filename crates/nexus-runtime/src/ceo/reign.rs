//! Which node's CEO takes work and answers: one at a time, by a lease. The others supervise their departments, and wait.

use std::sync::Arc;
use std::time::Duration;

use nexus_bus::BusError;
use nexus_core::lease::LeaseKey;
use nexus_process::clock::since_boot;
use ractor::ActorRef;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::CeoMsg;
use crate::lease::Lease;
use crate::node::Node;

/// This CEO's part in it, until it is dropped.
#[derive(Debug)]
pub(super) struct Reign {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// Until when this node's CEO may act on what it is asked, by [`since_boot`].
#[derive(Debug, Default)]
pub(crate) struct Reigns(watch::Sender<Duration>);

impl Reigns {
    /// False, too, for a process that stood still and doesn't know it yet: another CEO has been asked the same.
    pub(crate) fn now(&self) -> bool {
        since_boot() < *self.0.borrow()
    }

    /// Resolves when it may.
    pub(crate) async fn begun(&self) {
        // The sender is our own, so it isn't closed.
        let _ = self.0.subscribe().wait_for(|until| since_boot() < *until).await;
    }

    fn renewed(&self, node: &Node, lease: &Lease) {
        self.0.send_replace(if node.alone { Duration::MAX } else { lease.held_until() });
    }

    /// At once, also when its time isn't up: somebody else has the lease.
    fn over(&self) {
        self.0.send_replace(Duration::ZERO);
    }
}

/// Wait before a broker that didn't answer is asked again.
const AGAIN: Duration = Duration::from_millis(500);
/// The longest time that the broker may take to hear that this CEO leaves.
const FAREWELL: Duration = Duration::from_secs(2);

/// Takes the CEO's lease if that can be done without waiting: nobody holds it, or an earlier run of this very node, or one
/// that can't be there, because this node is alone.
pub(super) async fn at_once(node: &Node) -> Result<Option<Lease>, BusError> {
    let state = node.bus.lease(&LeaseKey::Ceo).await?;
    if !node.alone && state.holder.is_some_and(|holder| holder.node != node.id) {
        return Ok(None);
    }
    match take(node, state.seq).await {
        Ok(lease) => Ok(Some(lease)),
        Err(BusError::Conflict) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Reign {
    /// Keeps the lease if it is held, waits for it if not, and tells the CEO of every change.
    pub(super) fn begin(node: Arc<Node>, ceo: ActorRef<CeoMsg>, held: Option<Lease>) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        if let Some(lease) = &held {
            node.reigns.renewed(&node, lease);
        }
        let task = tokio::spawn(async move {
            let mut held = held;
            'waiting: loop {
                let mut lease = match held.take() {
                    Some(lease) => lease,
                    None => {
                        let taken = tokio::select! {
                            taken = wait(&node) => taken,
                            _ = &mut stopped => return,
                        };
                        node.reigns.renewed(&node, &taken);
                        let _ = ceo.cast(CeoMsg::Reign);
                        taken
                    }
                };
                let lost = loop {
                    node.reigns.renewed(&node, &lease);
                    tokio::select! {
                        renewed = lease.renewed() => if let Err(lost) = renewed { break lost },
                        _ = &mut stopped => break 'waiting drop(timeout(FAREWELL, lease.release()).await),
                    }
                };
                if node.alone {
                    tracing::debug!("the CEO's lease: {lost}; nobody else is there to take over");
                } else {
                    node.reigns.over();
                    tracing::warn!("this node's CEO steps back: {lost}");
                    let _ = ceo.cast(CeoMsg::Abdicate);
                }
            }
        });
        Self { stop: Some(stop), task }
    }

    /// Lets another node's CEO take over.
    pub(super) fn end(&mut self) {
        // It gives the lease back by itself; nobody waits for that.
        drop(self.stop.take());
    }
}

impl Drop for Reign {
    fn drop(&mut self) {
        // One that has been told to end goes on until the lease is given back.
        if self.stop.is_some() {
            self.task.abort();
        }
    }
}

/// Resolves when the lease is this node's.
async fn wait(node: &Node) -> Lease {
    loop {
        match candidate(node).await {
            Ok(lease) => return lease,
            Err(error) => tracing::debug!("the CEO's lease: {error}"),
        }
        sleep(AGAIN).await;
    }
}

async fn candidate(node: &Node) -> Result<Lease, BusError> {
    let mut renewals = node.bus.renewals().await?;
    let mut holder = node.bus.lease(&LeaseKey::Ceo).await?.holder;
    let mut heard = since_boot();
    loop {
        let is_free = holder.as_ref().is_none_or(|holder| holder.node == node.id);
        let left = (heard + node.terms.lease()).saturating_sub(since_boot());
        if is_free || left.is_zero() {
            // Renewals may have gone unheard: the lease itself tells.
            let now = node.bus.lease(&LeaseKey::Ceo).await?;
            if is_free || now.holder == holder {
                match take(node, now.seq).await {
                    Err(BusError::Conflict) => {}
                    taken => return taken,
                }
            }
            (holder, heard) = (node.bus.lease(&LeaseKey::Ceo).await?.holder, since_boot());
            continue;
        }
        match timeout(left, renewals.next()).await {
            Ok(Some((LeaseKey::Ceo, said))) => (holder, heard) = (said, since_boot()),
            Ok(Some(_)) | Err(_) => {}
            Ok(None) => return Err(BusError::Unreachable("the connection was closed".to_owned())),
        }
    }
}

async fn take(node: &Node, over: u64) -> Result<Lease, BusError> {
    Lease::take(&node.bus, LeaseKey::Ceo, node.holder.clone(), node.terms, over).await
}
