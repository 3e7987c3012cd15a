//! Which other nodes are alive, and putting back what a dead one had in hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nexus_bus::BusError;
use nexus_core::id::NodeId;
use nexus_core::lease::LeaseKey;
use nexus_history::HistoryError;
use nexus_process::clock::since_boot;
use tokio::time::{sleep, timeout};

use crate::former::{self, PutBackError};
use crate::node::Node;

/// Wait before it begins anew after a failure.
const AGAIN: Duration = Duration::from_secs(1);

/// A node as it is known: bounded by the nodes that there are.
struct Sign {
    /// When it gave a sign of life last, or when it was listened for first.
    heard: Duration,
    /// What its lease was then, as far as it was looked at: renewals that went unheard show by another sequence.
    seq: u64,
}

/// Watches for as long as this node's CEO takes work.
pub(super) async fn watch(node: Arc<Node>) {
    loop {
        let Err(error) = attend(&node).await;
        tracing::warn!("other nodes can't be watched at the moment: {error}");
        sleep(AGAIN).await;
    }
}

#[derive(Debug, thiserror::Error)]
enum Interruption {
    #[error("{0}")]
    Bus(#[from] BusError),
    #[error("{0}")]
    History(#[from] HistoryError),
    #[error("{0}")]
    PutBack(#[from] PutBackError),
    #[error("the connection was closed")]
    Closed,
}

async fn attend(node: &Node) -> Result<std::convert::Infallible, Interruption> {
    let mut renewals = node.bus.renewals().await?;
    let now = since_boot();
    let mut signs = BTreeMap::new();
    // One that has work in hand and no lease may have died while nobody watched.
    for name in node.historian.nodes_at_work().await? {
        signs.insert(name, Sign { heard: now, seq: 0 });
    }
    for (name, state) in node.bus.nodes().await? {
        signs.insert(name, Sign { heard: now, seq: state.seq });
    }
    signs.remove(&node.id);
    loop {
        let lease = node.terms.lease();
        let next = signs.values().map(|sign| sign.heard + lease).min();
        // With nobody to wait for, only a newcomer changes anything.
        let left = next.map_or(Duration::MAX, |next| next.saturating_sub(since_boot()));
        match timeout(left, renewals.next()).await {
            Ok(Some((LeaseKey::Node(name), held))) if name != node.id => {
                let sign = signs.entry(name.clone()).or_insert(Sign { heard: now, seq: 0 });
                sign.heard = since_boot();
                if !held {
                    // It left in order, and has nothing in hand; what it could not write down is put back.
                    signs.remove(&name);
                    put_back(node, &name, "its node has left").await?;
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => return Err(Interruption::Closed),
            Err(_) => {
                let overdue: Vec<NodeId> = signs
                    .iter()
                    .filter(|(_, sign)| sign.heard + lease <= since_boot())
                    .map(|(name, _)| name.clone())
                    .collect();
                for name in overdue {
                    let state = node.bus.lease(&LeaseKey::Node(name.clone())).await?;
                    match signs.get_mut(&name) {
                        Some(sign) if state.holder.is_some() && state.seq != sign.seq => {
                            *sign = Sign { heard: since_boot(), seq: state.seq };
                        }
                        _ => {
                            signs.remove(&name);
                            put_back(node, &name, "its node's lease lapsed").await?;
                        }
                    }
                }
            }
        }
    }
}

async fn put_back(node: &Node, dead: &NodeId, why: &str) -> Result<(), Interruption> {
    let tasks = former::put_back(node, dead, why).await?;
    if tasks > 0 {
        tracing::warn!(target: "nexus_ledger", node = %dead, "{tasks} tasks go back to the queue: {why}");
    } else {
        tracing::info!(node = %dead, "{why}; it had nothing in hand");
    }
    Ok(())
}
