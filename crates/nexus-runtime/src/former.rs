//! What this node had in hand when it ended without a word: its processes are ended, its tasks requeued at once.

use std::time::Duration;

use jiff::Timestamp;
use nexus_bus::BusError;
use nexus_process::end_marked;

use crate::node::Node;
use crate::runtime::StartError;

/// The variable that marks every process of an agent as this node's.
pub(crate) const MARK: &str = "NEXUS_NODE";
/// How long the former processes may take to die after KILL; more means that the kernel can't end them.
const END: Duration = Duration::from_secs(10);

/// Nobody else works on a node's own tasks, and the data directory's lock says that no other process is this node: so
/// whatever still carries its mark has lost its owner.
pub(crate) async fn requeue(node: &Node) -> Result<(), StartError> {
    let left = end_marked(MARK, node.id.as_str(), END).await;
    if left.ended > 0 {
        tracing::warn!(target: "nexus_ledger", "ended {} processes that the company had left behind", left.ended);
    }
    if !left.alive.is_empty() {
        return Err(StartError::Leftover(left.alive));
    }
    let former = node.historian.running_on(&node.id).await?;
    let mut requeued = 0;
    for view in &former {
        let last = match node.bus.last_event(view.task_id).await {
            // Somebody newer has had it in hand since, and knows how it goes on.
            Err(BusError::Newer { .. }) => continue,
            last => last?,
        };
        let Some(last) = last else { continue };
        if !last.event.what.is_terminal()
            && let Some(seq) =
                node.bus.requeue_orphan(&last, "the company ended without a word", Timestamp::now()).await?
        {
            node.historian.wrote(seq);
            requeued += 1;
        }
    }
    if requeued > 0 {
        tracing::info!(target: "nexus_ledger", "{requeued} tasks were running when the company ended; requeued");
    }
    Ok(())
}
