//! Whoever writes first holds the task; a claim that comes late finds out what has happened instead.

use jiff::Timestamp;
use nexus_bus::{Bus, BusError};
use nexus_core::event::{FailureKind, Hold, What};
use nexus_core::fence::Fence;
use nexus_core::retry::MAX_INTERRUPTIONS;
use nexus_core::task::QueueEntry;

use crate::support::{LEASE, Server, cancelled, claim, completed, entry, event, eventually, queues, take};

/// Asks for the cancel of the attempt that is on the ledger.
async fn ask_to_cancel(bus: &Bus, entry: &QueueEntry) {
    let last = bus.last_event(entry.task.id).await.unwrap().unwrap();
    let What::Started { node, delivery, .. } = last.event.what else { panic!("{last:?}") };
    let asked = What::CancelRequested { reason: "not needed".into(), of: Some(Hold { node, delivery }) };
    bus.append(&event(entry, asked), last.seq, None).await.unwrap();
}

#[tokio::test]
async fn what_was_cancelled_while_it_waited_does_not_start() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    bus.submit(&entry).await.unwrap();
    let delivery = take(&mut queues(&bus, LEASE).await, 5).await;
    bus.append(&event(&entry, cancelled()), 0, None).await.unwrap();
    assert_eq!(claim(&bus, &delivery, 0).await.unwrap_err(), BusError::Conflict);
}

#[tokio::test]
async fn of_two_claims_one_starts() {
    let server = Server::start().await;
    let bus = server.bus().await;
    bus.submit(&entry(5)).await.unwrap();
    let delivery = take(&mut queues(&bus, LEASE).await, 5).await;
    let (a, b) = tokio::join!(claim(&bus, &delivery, 0), claim(&bus, &delivery, 0));
    assert_eq!(u8::from(a.is_ok()) + u8::from(b.is_ok()), 1);
}

#[tokio::test]
async fn a_claim_sees_that_a_cancel_was_asked_for_and_carries_it_out() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    bus.submit(&entry).await.unwrap();
    let claim = claim(&bus, &take(&mut queues(&bus, LEASE).await, 5).await, 0).await.unwrap();
    ask_to_cancel(&bus, &entry).await;
    assert_eq!(claim.conclude(completed(0), Timestamp::now()).await, Err(BusError::Conflict));
    assert_eq!(claim.look().await, Ok(Some(Fence::CancelRequested("not needed".into()))));
    // The claim stands behind the request now.
    claim.conclude(cancelled(), Timestamp::now()).await.unwrap();
    assert!(bus.last_event(entry.task.id).await.unwrap().unwrap().event.what.is_terminal());
}

#[tokio::test]
async fn a_claim_that_was_taken_over_writes_nothing_more() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    bus.submit(&entry).await.unwrap();
    let claim = claim(&bus, &take(&mut queues(&bus, LEASE).await, 5).await, 0).await.unwrap();
    let started = bus.last_event(entry.task.id).await.unwrap().unwrap();
    assert!(bus.requeue_orphan(&started, "it is gone", Timestamp::now()).await.unwrap().is_some());
    // Once: the second one to notice finds it done.
    assert_eq!(bus.requeue_orphan(&started, "it is gone", Timestamp::now()).await, Ok(None));
    for late in
        [claim.conclude(completed(0), Timestamp::now()).await, claim.requeue("late", None, Timestamp::now()).await]
    {
        assert_eq!(late, Err(BusError::Conflict));
    }
    assert_eq!(claim.look().await, Ok(Some(Fence::Lost)));
    // Its delivery was ended for it, and one entry waits.
    eventually("the end of the delivery", async || (server.consumer(5).await == (0, 0)).then_some(())).await;
    assert_eq!(server.consumer("again").await, (1, 0));
}

#[tokio::test]
async fn a_cancel_whose_holder_is_gone_is_carried_out_by_who_finds_it() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    bus.submit(&entry).await.unwrap();
    let mut queues = queues(&bus, LEASE).await;
    drop(claim(&bus, &take(&mut queues, 5).await, 0).await.unwrap());
    ask_to_cancel(&bus, &entry).await;
    let last = bus.last_event(entry.task.id).await.unwrap().unwrap();
    assert!(bus.requeue_orphan(&last, "it is gone", Timestamp::now()).await.unwrap().is_some());
    let end = bus.last_event(entry.task.id).await.unwrap().unwrap().event.what;
    assert_eq!(end, What::Cancelled { reason: "not needed".into(), outcome: None });
    assert_eq!((server.consumer(5).await.0, server.consumer("again").await.0), (0, 0));
}

/// An attempt that was given up, and its successor of the same number: a cancel of the one is none of the other's.
#[tokio::test]
async fn a_cancel_of_the_next_holder_s_attempt_is_not_the_former_one_s_to_carry_out() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    bus.submit(&entry).await.unwrap();
    let mut queues = queues(&bus, LEASE).await;
    let former = claim(&bus, &take(&mut queues, 5).await, 0).await.unwrap();
    let started = bus.last_event(entry.task.id).await.unwrap().unwrap();
    let (revived, _) = bus.requeue_orphan(&started, "it is gone", Timestamp::now()).await.unwrap().unwrap();
    let again = take(&mut queues, "again").await;
    let next = claim(&bus, &again, revived).await.unwrap();
    assert_eq!(next.entry.attempt, former.entry.attempt);
    ask_to_cancel(&bus, &entry).await;
    assert_eq!(former.look().await, Ok(Some(Fence::Lost)));
    assert_eq!(next.look().await, Ok(Some(Fence::CancelRequested("not needed".into()))));
}

#[tokio::test]
async fn what_was_interrupted_too_often_is_failed_and_not_revived() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let worn = QueueEntry { interruptions: MAX_INTERRUPTIONS, ..entry(5) };
    bus.submit(&worn).await.unwrap();
    let mut queues = queues(&bus, LEASE).await;
    drop(claim(&bus, &take(&mut queues, 5).await, 0).await.unwrap());
    let started = bus.last_event(worn.task.id).await.unwrap().unwrap();
    assert!(bus.requeue_orphan(&started, "it is gone", Timestamp::now()).await.unwrap().is_some());
    let end = bus.last_event(worn.task.id).await.unwrap().unwrap();
    let What::Failed { failure, .. } = &end.event.what else { panic!("{end:?}") };
    assert_eq!(failure.kind, FailureKind::Interruptions);
    // What has ended is not revived: whoever comes later with that event in hand changes nothing.
    assert_eq!(bus.requeue_orphan(&end, "it is gone", Timestamp::now()).await, Ok(None));
    eventually("nothing left", async || (server.consumer(5).await == (0, 0)).then_some(())).await;
}
