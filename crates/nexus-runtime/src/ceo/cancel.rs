//! A cancel: an event by compare-and-set, then a signal, then the proof that nothing is left; of a task and all that it has
//! asked for.

use std::time::Duration;

use jiff::Timestamp;
use nexus_bus::{BusError, Last, Order};
use nexus_core::api::{CancelRequest, Cancelled};
use nexus_core::cancel::{self, Step};
use nexus_core::event::{Event, What};
use nexus_core::id::NodeId;
use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::task::MAX_WORDS;
use nexus_core::tree::{self, Standing};
use nexus_core::view::{Status, TaskView};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::overview::find;
use crate::historian::refused;
use crate::node::Node;

/// Beyond the department's graces: for the signals to travel, and KILL to work.
const MARGIN: Duration = Duration::from_secs(10);
/// The wait for the task's next event before its ledger is looked at, in case the event was dropped.
const LOOK: Duration = Duration::from_secs(1);
/// Refused writes in a row: each means that the task has changed under our hands.
pub(super) const TRIES: u32 = 16;

/// Cancels a task with all that it has asked for, and answers when no process of any of them is alive. `grace` is the longest
/// that agents may take to end.
pub(super) async fn cancel(node: &Node, request: &CancelRequest, grace: Duration) -> Result<Cancelled, Refusal> {
    let length = request.reason.as_ref().map_or(0, String::len);
    if length > MAX_WORDS {
        return Err(Refusal::invalid(format!("the reason has {length} bytes; at most {MAX_WORDS} are accepted")));
    }
    let view = find(node, &request.task_id).await?;
    let reason = request.reason.clone().unwrap_or_else(|| "cancelled on request".to_owned());
    let began = Instant::now();
    let (marked, mark) = oneshot::channel();
    let children = async {
        match mark.await {
            Ok(()) => cancel_below(node, &view, began + grace + MARGIN).await.map(drop),
            // It was not cancelled: neither are they.
            Err(_) => Ok(()),
        }
    };
    let (own, below) = tokio::join!(cancel_one(node, &view, &reason, began + grace + MARGIN, Some(marked)), children);
    let was = match own {
        // What a completed task has asked for goes on, until it is cancelled by the same name.
        Err(refusal) if refusal.kind == RefusalKind::Conflict => {
            left_below(node, &view, began + grace + MARGIN).await?.ok_or(refusal)?
        }
        own => own?,
    };
    below?;
    Ok(Cancelled {
        task_id: view.task_id,
        was,
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// Cancels what goes on below a task that has ended, and returns how that one stands; none: there is nothing, or it hasn't ended.
async fn left_below(node: &Node, view: &TaskView, deadline: Instant) -> Result<Option<Status>, Refusal> {
    let last = node.bus.last_event(view.task_id).await?;
    let Standing::Ended(was) = Standing::of(last.as_ref().map(|last| &last.event)) else { return Ok(None) };
    Ok((cancel_below(node, view, deadline).await? > 0).then_some(was))
}

/// Cancels what is below a task that is marked as cancelled or has ended, and returns how many that were. Whoever asks for one more in this tree looks at that mark while
/// alone with it, so that after a moment alone with it all that there will ever be is known.
async fn cancel_below(node: &Node, view: &TaskView, deadline: Instant) -> Result<usize, Refusal> {
    let root = view.parent.map_or(view.task_id, |parent| parent.root);
    drop(node.trees.alone(root).await);
    let history = node.historian.current().await?;
    let tree = history.tree(root).await.map_err(|error| refused(&error))?;
    let open = tree::below(view.task_id, tree).into_iter().filter(|view| !view.status.is_terminal());
    let open: Vec<_> = open.collect();
    let count = open.len();
    let each = open.into_iter().map(async |view| {
        let parent = view.parent.map_or(root, |parent| parent.task_id);
        let reason = tree::orphaned(parent, Status::Cancelled).unwrap_or_default();
        match cancel_one(node, &view, &reason, deadline, None).await {
            // It ended by itself meanwhile, as a rule.
            Err(refusal) if refusal.kind == RefusalKind::Conflict => {
                let last = node.bus.last_event(view.task_id).await?;
                let has_ended = last.is_some_and(|last| last.event.what.is_terminal());
                if has_ended { Ok(()) } else { Err(refusal) }
            }
            ended => ended.map(drop),
        }
    });
    futures_util::future::join_all(each).await.into_iter().collect::<Result<(), _>>()?;
    Ok(count)
}

/// Cancels one task, and returns what it was. `marked` is told when that is on the ledger and can't be taken back.
async fn cancel_one(
    node: &Node,
    view: &TaskView,
    reason: &str,
    deadline: Instant,
    mut marked: Option<oneshot::Sender<()>>,
) -> Result<Status, Refusal> {
    let mut events = nexus_bus::Client::new(node.bus.clone()).follow_events(Some(view.task_id)).await?;
    let mut asked = false;
    for _ in 0..TRIES {
        let last = node.bus.last_event(view.task_id).await?;
        let done = mark(node, view, last.as_ref(), reason).await;
        if matches!(done, Ok(Done::Cancelled(_) | Done::Asked { .. }))
            && let Some(marked) = marked.take()
        {
            // Whoever waits for it waits in the same place.
            let _ = marked.send(());
        }
        match done {
            Ok(Done::Ended(Status::Cancelled)) if asked => return Ok(Status::Running),
            Ok(Done::Ended(status)) => return Err(ended(view, status)),
            Ok(Done::Cancelled(seq)) => {
                node.historian.wrote(seq);
                return Ok(Status::Queued);
            }
            Ok(Done::Asked { node: holder, seq }) => {
                asked = true;
                node.historian.wrote(seq);
                let order = Order::Cancel { task: view.task_id, reason: reason.to_owned() };
                loop {
                    let told = node.bus.order(&holder, &view.department, &order).await;
                    match tokio::time::timeout(LOOK, events.recv()).await {
                        Ok(Some(event)) if event.what.is_terminal() => break,
                        _ => {}
                    }
                    let is_over = Instant::now() > deadline;
                    match told.and(node.bus.last_event(view.task_id).await) {
                        Ok(Some(Last { event: Event { what: What::CancelRequested { .. }, .. }, .. })) if !is_over => {}
                        Ok(Some(Last { event: Event { what: What::CancelRequested { .. }, .. }, .. })) => {
                            return Err(still_alive(node, view).await);
                        }
                        // It is on the ledger, and whoever is to carry it out may not have heard of it.
                        Err(BusError::Unreachable(cause)) if !is_over => tracing::debug!("a cancel waits: {cause}"),
                        Err(error) => return Err(error.into()),
                        Ok(_) => break,
                    }
                }
            }
            Err(BusError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Refusal::new(RefusalKind::Conflict, format!("task {} changes too fast to be cancelled", view.task_id))
        .with_help("look at its status and try again"))
}

/// The result of a step.
pub(super) enum Done {
    /// It had ended.
    Ended(Status),
    /// It waited; now it is cancelled.
    Cancelled(u64),
    /// It runs, and the ledger holds the request; the holder is to carry it out.
    Asked { node: NodeId, seq: u64 },
}

/// Writes the cancel down, as the task stands.
pub(super) async fn mark(node: &Node, view: &TaskView, last: Option<&Last>, reason: &str) -> Result<Done, BusError> {
    let event = |attempt, what| Event::new(view.task_id, view.department.clone(), attempt, Timestamp::now(), what);
    let reason = reason.to_owned();
    match cancel::step(last.map(|last| (&last.event, last.seq))) {
        Step::Ended(status) => Ok(Done::Ended(status)),
        Step::Cancel { attempt, expect } => {
            let cancelled = event(attempt, What::Cancelled { reason, outcome: None });
            node.bus.append_last(&cancelled, expect).await.map(Done::Cancelled)
        }
        Step::Ask { of, attempt, expect } => {
            let holder = of.node.clone();
            let requested = event(attempt, What::CancelRequested { reason, of: Some(of) });
            let seq = node.bus.append(&requested, expect, None).await?;
            Ok(Done::Asked { node: holder, seq })
        }
        // Asked for before: by somebody else, or before the company was restarted.
        Step::Tell { of } => {
            let holder = of.map(|of| of.node).or_else(|| view.node.clone()).unwrap_or_else(|| node.id.clone());
            Ok(Done::Asked { node: holder, seq: last.map_or(0, |last| last.seq) })
        }
    }
}

fn ended(view: &TaskView, status: Status) -> Refusal {
    Refusal::new(RefusalKind::Conflict, format!("task {} is {} already", view.task_id, status.as_str()))
}

async fn still_alive(node: &Node, view: &TaskView) -> Refusal {
    let alive =
        node.board.workers(&node.id, &node.sampler).await.into_iter().find(|w| w.current_task == Some(view.task_id));
    let live = alive.and_then(|worker| worker.live);
    let what =
        live.and_then(|live| live.pid.map(|pid| format!("pid {pid} and {} others", live.processes.saturating_sub(1))));
    let what = what.unwrap_or_else(|| match &view.node {
        Some(other) if *other != node.id => {
            format!("it is in the hands of the node {other}, which is alive and has not answered")
        }
        _ => "its worker has not answered".to_owned(),
    });
    Refusal::new(RefusalKind::TimedOut, format!("task {} is being cancelled but not gone yet: {what}", view.task_id))
        .with_help("it stays marked as cancelled and is ended as soon as it can be; ask again for its status")
}
