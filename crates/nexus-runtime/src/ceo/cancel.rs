//! A cancel: an event by compare-and-set, then a signal, then the proof that nothing is left.

use std::time::Duration;

use jiff::Timestamp;
use nexus_bus::{BusError, Last, Order};
use nexus_core::api::{CancelRequest, Cancelled};
use nexus_core::cancel::{self, Step};
use nexus_core::event::{Event, What};
use nexus_core::id::NodeId;
use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::task::MAX_WORDS;
use nexus_core::view::{Status, TaskView};
use tokio::time::Instant;

use super::overview::find;
use crate::node::Node;

/// Beyond the department's graces: for the signals to travel, and KILL to work.
const MARGIN: Duration = Duration::from_secs(10);
/// How long the task's next event is waited for before its ledger is looked at, in case the event was dropped.
const LOOK: Duration = Duration::from_secs(1);
/// Refused writes in a row: each means that the task has changed under our hands.
const TRIES: u32 = 16;

/// Cancels a task, and answers when no process of it is alive. `grace` is the longest that agents may take to end.
pub(super) async fn cancel(node: &Node, request: &CancelRequest, grace: Duration) -> Result<Cancelled, Refusal> {
    let began = Instant::now();
    let length = request.reason.as_ref().map_or(0, String::len);
    if length > MAX_WORDS {
        return Err(Refusal::invalid(format!("the reason has {length} bytes; at most {MAX_WORDS} are accepted")));
    }
    let view = find(node, &request.task_id).await?;
    let reason = request.reason.clone().unwrap_or_else(|| "cancelled on request".to_owned());
    let mut events = nexus_bus::Client::new(node.bus.clone()).follow_events(Some(view.task_id)).await?;
    let done = |was| Cancelled {
        task_id: view.task_id,
        was,
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    let mut asked = false;
    for _ in 0..TRIES {
        let last = node.bus.last_event(view.task_id).await?;
        match step(node, &view, last.as_ref(), &reason).await {
            Ok(Done::Ended(Status::Cancelled)) if asked => return Ok(done(Status::Running)),
            Ok(Done::Ended(status)) => return Err(ended(&view, status)),
            Ok(Done::Cancelled(seq)) => {
                node.historian.wrote(seq);
                return Ok(done(Status::Queued));
            }
            Ok(Done::Asked { node: holder, seq }) => {
                asked = true;
                node.historian.wrote(seq);
                let order = Order::Cancel { task: view.task_id, reason: reason.clone() };
                let deadline = began + grace + MARGIN;
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
                            return Err(still_alive(node, &view).await);
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

/// What was done of a step.
enum Done {
    /// It had ended.
    Ended(Status),
    /// It waited; now it is cancelled.
    Cancelled(u64),
    /// It runs, and the ledger holds the request; the holder is to carry it out.
    Asked { node: NodeId, seq: u64 },
}

async fn step(node: &Node, view: &TaskView, last: Option<&Last>, reason: &str) -> Result<Done, BusError> {
    let append = async |attempt, what, expect| {
        let event = Event::new(view.task_id, view.department.clone(), attempt, Timestamp::now(), what);
        node.bus.append(&event, expect, None).await
    };
    let reason = reason.to_owned();
    match cancel::step(last.map(|last| (&last.event, last.seq))) {
        Step::Ended(status) => Ok(Done::Ended(status)),
        Step::Cancel { attempt, expect } => {
            append(attempt, What::Cancelled { reason, outcome: None }, expect).await.map(Done::Cancelled)
        }
        Step::Ask { of, attempt, expect } => {
            let holder = of.node.clone();
            let seq = append(attempt, What::CancelRequested { reason, of: Some(of) }, expect).await?;
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
