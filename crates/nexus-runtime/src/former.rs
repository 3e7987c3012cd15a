//! The work that a node had in hand when it ended without a word: its processes are ended, its tasks requeued.

use std::time::Duration;

use jiff::Timestamp;
use nexus_bus::BusError;
use nexus_core::event::What;
use nexus_core::id::{NodeId, TaskId};
use nexus_core::lease::LeaseKey;
use nexus_core::view::TaskView;
use nexus_history::HistoryError;
use nexus_process::end_marked;

use crate::node::Node;
use crate::runtime::StartError;

/// The variable that marks every process of an agent as this node's.
const MARK: &str = "NEXUS_NODE";
/// The variable that marks every process of an agent as one of this run of the node: the guard of a run that is over must
/// not touch those of the next.
pub(crate) const RUN: &str = "NEXUS_RUN";
/// The variable that marks every process of an agent as one that this run has started for its task: another node on this
/// machine may work on the same.
const PART: &str = "NEXUS_PART";
/// The longest time that the former processes may take to die after KILL; more means that the kernel can't end them.
const END: Duration = Duration::from_secs(10);

/// Nobody else works on a node's own tasks, and the data directory's lock says that no other process is this node: so
/// whatever still carries its mark has lost its owner.
pub(crate) async fn requeue(node: &Node) -> Result<(), StartError> {
    let left = end_marked(MARK, node.id.as_str(), END).await;
    if left.ended > 0 {
        tracing::warn!(target: "nexus_ledger", "ended {} processes that the company had left behind", left.ended);
    }
    if let Some(why) = left.unseen {
        return Err(StartError::Unseen(why));
    }
    if !left.alive.is_empty() {
        return Err(StartError::Leftover(left.alive));
    }
    node.engines.reconcile(&node.id).await;
    let requeued =
        put_back(node, &node.id, None, "the company ended without a word").await.map_err(StartError::from)?;
    if requeued > 0 {
        tracing::info!(target: "nexus_ledger", "{requeued} tasks were running when the company ended; requeued");
    }
    Ok(())
}

/// The marks of an agent's processes.
pub(crate) fn marks(node: &Node, task: TaskId) -> [(String, String); 3] {
    let mark = |name: &str, value: String| (name.to_owned(), value);
    [mark(MARK, node.id.to_string()), mark(RUN, node.holder.run.to_string()), own_mark(node, task)]
}

/// The one that only the processes of this task carry.
pub(crate) fn own_mark(node: &Node, task: TaskId) -> (String, String) {
    (PART.to_owned(), part(node, task))
}

fn part(node: &Node, task: TaskId) -> String {
    format!("{}.{task}", node.holder.run)
}

/// Ends what an attempt has left behind that has left its process group too; returns when nothing of it is alive.
pub(crate) async fn end_strays(node: &Node, task: TaskId) {
    loop {
        let part = part(node, task);
        let runtime = tokio::runtime::Handle::current();
        // It reads /proc, which blocks.
        let looking = move || runtime.block_on(end_marked(PART, &part, END));
        // An error means that the runtime is being shut down.
        let Ok(left) = tokio::task::spawn_blocking(looking).await else { return };
        if left.ended > 0 {
            tracing::info!(%task, "ended {} processes that had left their group", left.ended);
        }
        if left.are_gone() {
            return;
        }
        match left.unseen {
            Some(why) => tracing::warn!(%task, "whether processes of it are left can't be seen: {why}"),
            None => tracing::warn!(%task, "processes of it can't be ended (pids {:?})", left.alive),
        }
    }
}

/// Why what a node had in hand could not be put back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PutBackError {
    #[error("{0}")]
    Bus(#[from] BusError),
    #[error("{0}")]
    History(#[from] HistoryError),
}

/// Gives back to the queue what a node had in hand that is known to be gone, and returns how many tasks that were.
/// `lease`: the sequence of its lease when it was found to be gone; none where nobody else can take that lease.
pub(crate) async fn put_back(
    node: &Node,
    gone: &NodeId,
    lease: Option<u64>,
    reason: &str,
) -> Result<u64, PutBackError> {
    let mut requeued = 0;
    // What the history has not folded yet it can't name.
    node.historian.reached(node.bus.ledger_end().await?).await;
    for view in node.historian.running_on(gone).await? {
        let last = match node.bus.last_event(view.task_id).await {
            // Somebody newer has had it in hand since, and knows how it goes on.
            Err(BusError::Newer { .. }) => continue,
            Err(error) if is_its_own(&error) => {
                left_out(&view, &error);
                continue;
            }
            last => last?,
        };
        let Some(last) = last else { continue };
        let is_theirs = match &last.event.what {
            // The first ledgers don't say whose attempt is meant; nobody else can have begun one since.
            What::CancelRequested { of: None, .. } => last.event.attempt == view.attempt,
            what => what.node() == Some(gone),
        };
        if !is_theirs {
            continue;
        }
        // Looked at after the event: what the node has begun since it is back is none of what was lost.
        if let Some(lease) = lease {
            let state = node.bus.lease(&LeaseKey::Node(gone.clone())).await?;
            if state.holder.is_some() && state.seq != lease {
                tracing::info!(node = %gone, "is back, and sees to the rest itself");
                break;
            }
        }
        match node.bus.requeue_orphan(&last, reason, Timestamp::now()).await {
            Ok(Some((_, written))) => {
                node.historian.wrote(written);
                requeued += 1;
            }
            Ok(None) => {}
            Err(error) if is_its_own(&error) => left_out(&view, &error),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(requeued)
}

/// The fault is one record's, and the others are put back all the same.
const fn is_its_own(error: &BusError) -> bool {
    matches!(error, BusError::Unreadable { .. } | BusError::Newer { .. })
}

fn left_out(view: &TaskView, error: &BusError) {
    tracing::error!(task = %view.task_id, "can't be put back and is left out: {error}; `nexus doctor` looks at the store");
}
