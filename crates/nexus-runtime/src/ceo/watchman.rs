//! Which other nodes are alive, and putting back what a dead one had in hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nexus_bus::BusError;
use nexus_core::id::NodeId;
use nexus_core::lease::{Holder, LeaseKey};
use nexus_history::HistoryError;
use nexus_process::clock::since_boot;
use tokio::time::sleep;

use crate::former::{self, PutBackError};
use crate::node::Node;

/// Wait before it begins anew after a failure.
const AGAIN: Duration = Duration::from_secs(1);

/// A node as it is known: as many as there are.
struct Sign {
    /// When it gave a sign of life last, or when it was listened for first; at the beginning of time, when it left.
    heard: Duration,
    /// Its word at that time.
    said: Option<Holder>,
}

/// Listens for as long as the CEO lives, also while another one reigns: so that it knows who is dead when it takes over.
pub(super) async fn watch(node: Arc<Node>) {
    let mut signs = BTreeMap::new();
    loop {
        let Err(error) = attend(&node, &mut signs).await;
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

/// Earlier signs count on: a renewal that went unheard meanwhile shows in the lease itself.
async fn attend(node: &Node, signs: &mut BTreeMap<NodeId, Sign>) -> Result<std::convert::Infallible, Interruption> {
    let mut renewals = node.bus.renewals().await?;
    let heard = since_boot();
    // One that has work in hand and no lease may have died while nobody watched.
    for name in node.historian.nodes_at_work().await? {
        signs.entry(name).or_insert(Sign { heard, said: None });
    }
    for (name, state) in node.bus.nodes().await? {
        if signs.get(&name).is_none_or(|sign| sign.said != state.holder) {
            signs.insert(name, Sign { heard, said: state.holder });
        }
    }
    signs.remove(&node.id);
    loop {
        let overdue = bury(node, signs).await?;
        let next = signs.values().map(|sign| sign.heard + node.terms.lease()).filter(|due| *due > since_boot()).min();
        let due = async {
            match next {
                Some(next) => sleep(next.saturating_sub(since_boot())).await,
                // With nobody to wait for, only a newcomer changes anything.
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            heard = renewals.next() => match heard.ok_or(Interruption::Closed)? {
                (LeaseKey::Node(name), said) if name != node.id => {
                    let heard = if said.is_some() { since_boot() } else { Duration::ZERO };
                    signs.insert(name, Sign { heard, said });
                }
                _ => {}
            },
            () = due => {}
            () = node.reigns.begun(), if overdue => {}
        }
    }
}

/// Puts back what those had in hand whose lease has lapsed, if this node's CEO reigns; returns whether any are left.
async fn bury(node: &Node, signs: &mut BTreeMap<NodeId, Sign>) -> Result<bool, Interruption> {
    let is_overdue = |sign: &Sign| sign.heard + node.terms.lease() <= since_boot();
    let overdue: Vec<NodeId> =
        signs.iter().filter(|(_, sign)| is_overdue(sign)).map(|(name, _)| name.clone()).collect();
    if !node.reigns.now() {
        return Ok(!overdue.is_empty());
    }
    for name in overdue {
        let state = node.bus.lease(&LeaseKey::Node(name.clone())).await?;
        match signs.get_mut(&name) {
            // Renewals have gone unheard.
            Some(sign) if state.holder.is_some() && state.holder != sign.said => {
                *sign = Sign { heard: since_boot(), said: state.holder };
            }
            known => {
                let left = known.is_some_and(|sign| sign.heard.is_zero());
                let why = if left { "its node has left" } else { "its node's lease lapsed" };
                put_back(node, &name, state.seq, why).await?;
                signs.remove(&name);
            }
        }
    }
    Ok(false)
}

async fn put_back(node: &Node, dead: &NodeId, lease: u64, why: &str) -> Result<(), Interruption> {
    let tasks = former::put_back(node, dead, Some(lease), why).await?;
    if tasks > 0 {
        tracing::warn!(target: "nexus_ledger", node = %dead, "{tasks} tasks go back to the queue: {why}");
    } else {
        tracing::info!(node = %dead, "{why}; it had nothing in hand");
    }
    Ok(())
}
