//! Keeps an attempt's lease alive, and says so in time when it can't: the agent must be dead before another may start.

use std::sync::Arc;
use std::time::Duration;

use nexus_bus::Claim;
use nexus_core::attempt::Input;
use nexus_core::fence::Fence;
use nexus_process::clock::since_boot;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::Hold;
use crate::node::Node;

/// Renews every third of the lease. When two thirds have passed without a confirmation, the lease counts as lost: the
/// last third is for killing the agent. The clock goes on while this process is stopped and while its machine sleeps.
///
/// Each time the ledger is looked at too: an order to cancel may have got lost, and what somebody else has written in this
/// attempt's place ends it, whoever was wrong.
///
/// On a node that is alone with its broker nobody else could get the task, so there it is renewed and never given up.
pub(super) async fn renew(claim: Arc<Claim>, node: Arc<Node>, hold: Hold, inputs: mpsc::Sender<Input>) {
    let why = tokio::select! {
        why = kept(&claim, &node, hold.since, &inputs) => why,
        () = node.tenure.lapsed(hold.term) => "ended with that of its node",
    };
    tracing::warn!(task = %claim.entry.task.id, "the task's lease {why}; ending the agent");
    let _ = inputs.send(Input::LeaseLost).await;
}

async fn kept(claim: &Claim, node: &Node, since: Duration, inputs: &mpsc::Sender<Input>) -> &'static str {
    let terms = node.terms.task();
    let period = terms.period();
    let mut held_since = since;
    let mut next = held_since + period;
    loop {
        sleep(next.saturating_sub(since_boot())).await;
        let asked = since_boot();
        let until = if node.alone { asked + period } else { held_since + terms.held() };
        let left = until.saturating_sub(asked);
        match timeout(left, claim.renew(left.min(period))).await {
            // The lease runs from when it was asked for: the broker can't have counted from an earlier moment.
            Ok(Ok(())) if !left.is_zero() => {
                held_since = asked;
                next = asked + period;
                match timeout(period / 2, claim.peek()).await {
                    Ok(Ok(Some(Fence::Lost))) => return "is somebody else's",
                    // Said again, it changes nothing.
                    Ok(Ok(Some(Fence::CancelRequested(reason)))) => drop(inputs.try_send(Input::Cancel(reason))),
                    Ok(Ok(Some(Fence::Own) | None) | Err(_)) | Err(_) => {}
                }
            }
            Ok(Err(error)) if node.alone || since_boot() < until => {
                tracing::debug!(task = %claim.entry.task.id, "the lease was not renewed: {error}");
                next = since_boot() + period / 8;
            }
            Err(_) if node.alone => next = since_boot(),
            _ => return "could not be renewed in time",
        }
    }
}
