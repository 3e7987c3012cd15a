//! The rules of any ledger, whatever has happened to the company: checked whenever a test's company stops.

use std::collections::HashMap;

use nexus_bus::{Bus, Client};
use nexus_core::event::{Event, What};
use nexus_core::id::TaskId;
use nexus_core::view::{Record, TaskView, fold};

use crate::support::{eventually, within};

/// Everything on the ledger, in order.
async fn ledger(bus: &Bus) -> Vec<Record> {
    let mut tail = bus.tail(0).await.unwrap();
    let mut records = Vec::new();
    let mut pending = tail.pending;
    while pending > 0 {
        let batch = within("a batch", tail.next()).await.unwrap();
        pending = batch.pending;
        records.extend(batch.records.into_iter().map(|(_, record)| record));
    }
    records
}

/// Each event may follow the one before it: nothing follows an end, and no attempt begins while another one is open.
fn may_follow(last: Option<&Event>, event: &Event) -> bool {
    let is_open = matches!(
        last.map(|last| &last.what),
        Some(What::Started { .. } | What::Progressed { .. } | What::CancelRequested { .. })
    );
    let has_ended = last.is_some_and(|last| last.what.is_terminal());
    match &event.what {
        What::Started { .. } => !is_open && !has_ended,
        What::Retried { .. } => has_ended,
        What::Cancelled { .. } | What::Deferred { .. } => !has_ended,
        What::CancelRequested { .. } | What::Progressed { .. } => is_open,
        What::Interrupted { .. } | What::AttemptFailed { .. } | What::Completed { .. } | What::Failed { .. } => is_open,
    }
}

/// Checks the ledger, and that the read model is a fold of it: as soon as nothing is on its way any more, such as the task of a
/// worker that failed a moment ago.
pub(crate) async fn audit(bus: &Bus, client: &Client) {
    eventually("the history tells what the ledger says", async || {
        let differs = difference(bus, client).await;
        differs.iter().for_each(|(told, folded)| eprintln!("the history: {told:?}\nthe ledger: {folded:?}"));
        differs.is_none().then_some(())
    })
    .await;
}

/// The difference between the history of a task and its ledger.
async fn difference(bus: &Bus, client: &Client) -> Option<(TaskView, TaskView)> {
    let (mut views, mut last) = (HashMap::<TaskId, TaskView>::new(), HashMap::<TaskId, Event>::new());
    for record in ledger(bus).await {
        let id = record.task_id();
        if let Record::Event(event) = &record {
            let before = last.insert(id, event.clone());
            assert!(may_follow(before.as_ref(), event), "{event:?} follows {before:?}");
        }
        if let Some(view) = fold(views.remove(&id), &record) {
            views.insert(id, view);
        }
    }
    for (id, folded) in views {
        let told = within("an answer", client.status(&id.to_string())).await.unwrap().task;
        if told != folded {
            return Some((told, folded));
        }
    }
    None
}
