//! Tasks whose parent has failed for good or was cancelled: they are cancelled too, by whoever reigns.
//!
//! It goes by the history and is settled by compare-and-set on the ledger: however often it is done, and whoever stopped
//! halfway, each of them is cancelled once.

use std::sync::Arc;
use std::time::Duration;

use nexus_bus::{BusError, Order};
use nexus_core::event::What;
use nexus_core::tree::{self, Standing};
use nexus_core::view::TaskView;
use nexus_history::HistoryError;
use tokio::time::sleep;

use super::cancel::{Done, TRIES, mark};
use crate::node::Node;

/// Wait before it begins anew after a failure.
const AGAIN: Duration = Duration::from_secs(1);

/// Why orphans could not be looked for, or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OrphanError {
    #[error("{0}")]
    Bus(#[from] BusError),
    #[error("{0}")]
    History(#[from] HistoryError),
}

/// Ends them as they come, while this node's CEO reigns.
pub(super) async fn watch(node: Arc<Node>) {
    loop {
        node.reigns.begun().await;
        let seen = node.historian.state().partings;
        match end(&node).await {
            Ok(_) => drop(node.historian.parted(seen).await),
            Err(error) => {
                tracing::warn!("tasks whose parent has ended wait to be cancelled: {error}");
                sleep(AGAIN).await;
            }
        }
    }
}

/// Ends all that there are, and those that these leave behind.
pub(crate) async fn end_all(node: &Node) -> Result<(), OrphanError> {
    while end(node).await? > 0 {
        node.historian.reached(node.bus.ledger_end().await?).await;
    }
    Ok(())
}

/// Ends those that are known now, and returns the number of those that have been written to.
async fn end(node: &Node) -> Result<u64, OrphanError> {
    let mut written = 0;
    for (view, _) in node.historian.folded().orphans().await? {
        match end_one(node, &view).await {
            Ok(was_written) => written += u64::from(was_written),
            Err(error @ (BusError::Unreadable { .. } | BusError::Newer { .. })) => {
                tracing::warn!(task = %view.task_id, "its parent has ended, and it can't be cancelled: {error}");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(written)
}

async fn end_one(node: &Node, view: &TaskView) -> Result<bool, BusError> {
    let Some(parent) = view.parent else { return Ok(false) };
    // The history may be behind: a parent that was put back since keeps its children.
    let last = node.bus.last_event(parent.task_id).await?;
    let Standing::Ended(how) = Standing::of(last.as_ref().map(|last| &last.event)) else { return Ok(false) };
    let Some(reason) = tree::orphaned(parent.task_id, how) else { return Ok(false) };
    for _ in 0..TRIES {
        let last = node.bus.last_event(view.task_id).await?;
        if last.as_ref().is_some_and(|last| matches!(last.event.what, What::CancelRequested { .. })) {
            // Whoever holds it has been told, or finds it written at its next renewal.
            return Ok(false);
        }
        match mark(node, view, last.as_ref(), &reason).await {
            Ok(Done::Ended(_)) => return Ok(false),
            Ok(Done::Cancelled(seq)) => {
                tracing::info!(task = %view.task_id, "cancelled: {reason}");
                node.historian.wrote(seq);
                return Ok(true);
            }
            Ok(Done::Asked { node: holder, seq }) => {
                tracing::info!(task = %view.task_id, "is being cancelled: {reason}");
                node.historian.wrote(seq);
                let order = Order::Cancel { task: view.task_id, reason };
                if let Err(error) = node.bus.order(&holder, &view.department, &order).await {
                    tracing::debug!(task = %view.task_id, "its worker will find the cancel on the ledger: {error}");
                }
                return Ok(true);
            }
            Err(BusError::Conflict) => {}
            Err(error) => return Err(error),
        }
    }
    Err(BusError::Conflict)
}
