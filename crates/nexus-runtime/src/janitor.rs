//! Forgets tasks whose history has expired: first in the ledger, then in the read model, a batch at a time; and what was
//! private to tasks that are over.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use nexus_core::company::Company;
use nexus_core::id::TaskId;

use crate::node::Node;

/// The time between two of its looks.
const PERIOD: Duration = Duration::from_secs(600);
/// Tasks forgotten between two looks at the clock: each is a few small requests to the broker.
const BATCH: u32 = 500;

/// The time between two looks at the disk for room: a `statvfs`.
const LOOK_FOR_ROOM: Duration = Duration::from_secs(5);

/// Makes room on a full disk, for as long as the company runs, by what attempts have left that ended before it was full.
pub(crate) async fn keep_room(node: Arc<Node>) {
    let mut ticks = tokio::time::interval(LOOK_FOR_ROOM);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // Tasks that have nothing to be removed. What another attempt of them leaves is seen to at its end.
    let mut small: HashSet<TaskId> = HashSet::new();
    loop {
        ticks.tick().await;
        if !node.protector.is_short() {
            small.clear();
            continue;
        }
        tidy(&node, true).await;
        for task in node.protector.remembered() {
            if small.contains(&task) {
                continue;
            }
            let Some(_taking) = node.board.take_up_idle(task) else { continue };
            if let Some(removed) = node.protector.make_room(task).await {
                tracing::warn!(%task, "{removed}");
            }
            if !node.protector.is_short() {
                break;
            }
            small.insert(task);
        }
    }
}

/// Cleans for as long as the company runs.
pub(crate) async fn clean(node: Arc<Node>, company: Arc<ArcSwap<Company>>) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(cause) = sweep(&node).await {
            tracing::warn!("what was private to tasks that are over could not be removed yet: {cause}");
        }
        tidy(&node, false).await;
        let retention = company.load().retention.get();
        let Ok(before) = Timestamp::now().checked_sub(retention) else { continue };
        let mut forgotten = 0;
        loop {
            match forget(&node, before).await {
                Ok(0) => break,
                Ok(count) => forgotten += count,
                Err(cause) => {
                    tracing::warn!("expired tasks could not be forgotten yet: {cause}");
                    break;
                }
            }
        }
        if forgotten > 0 {
            tracing::info!(target: "nexus_ledger", "forgot {forgotten} tasks that ended before {before:.0}");
        }
    }
}

/// Removes prepared checkouts that nobody needs; on a full disk all that nobody uses.
async fn tidy(node: &Arc<Node>, all: bool) {
    let node = Arc::clone(node);
    let tidied = tokio::task::spawn_blocking(move || node.workspaces.tidy(all)).await;
    match tidied {
        Ok(Ok(removed)) if removed.checkouts > 0 => {
            let mib = removed.bytes >> 20;
            tracing::info!("removed {} prepared checkouts that nobody uses ({mib} MiB)", removed.checkouts);
        }
        Ok(Err(error)) => tracing::warn!("prepared checkouts could not be removed: {error}"),
        Ok(Ok(_)) | Err(_) => {}
    }
}

/// Removes what is private to tasks that are over, where nobody was left to do so: they ended on another node, or while this
/// one was down.
async fn sweep(node: &Node) -> Result<(), String> {
    let history = node.historian.current().await.map_err(|refusal| refusal.to_string())?;
    for task in node.protector.remembered() {
        let view = history.get(task).await.map_err(|error| error.to_string())?;
        let is_over = view.is_none_or(|view| view.status.is_terminal());
        // A retry may have begun since, or begin now.
        if is_over && let Some(_taking) = node.board.take_up_idle(task) {
            node.protector.forget(task).await;
        }
    }
    Ok(())
}

async fn forget(node: &Node, before: Timestamp) -> Result<usize, String> {
    let history = node.historian.current().await.map_err(|refusal| refusal.to_string())?;
    let expired = history.expired(before, BATCH).await.map_err(|error| error.to_string())?;
    // The ledger first: a task that only the read model had forgotten would come back with its next rebuild.
    for task in &expired {
        node.bus.purge(*task).await.map_err(|error| error.to_string())?;
    }
    history.forget(&expired).await.map_err(|error| error.to_string())?;
    Ok(expired.len())
}
