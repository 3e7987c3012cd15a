//! A pull takes exactly what it asks for, from one priority; what is not ended comes again when its lease has lapsed.

use std::time::Duration;

use futures_util::StreamExt;
use nexus_bus::{BusError, Delivery, Submitted};
use nexus_core::event::What;
use nexus_core::id::TaskId;
use nexus_core::lane::Lane;
use nexus_core::task::QueueEntry;

use crate::support::{LEASE, Server, cancelled, entry, event, eventually, priority, queues, take};

fn ids(taken: &[Delivery]) -> Vec<TaskId> {
    taken.iter().map(|delivery| delivery.entry.as_ref().unwrap().task.id).collect()
}

#[tokio::test]
async fn a_pull_takes_what_it_asks_for_and_leaves_the_rest_to_others() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let waiting = [entry(5), entry(5), entry(5)];
    for entry in &waiting {
        bus.submit(entry).await.unwrap();
    }
    let expected: Vec<_> = waiting.iter().map(|entry| entry.task.id).collect();
    let (mut mine, mut yours) = (queues(&bus, LEASE).await, queues(&bus, LEASE).await);
    let first = mine.pull(priority(5), 2).await.unwrap();
    assert_eq!(ids(&first), expected[..2]);
    assert_eq!(server.consumer(5).await, (1, 2));
    let rest = yours.pull(priority(5), 2).await.unwrap();
    assert_eq!(ids(&rest), expected[2..]);
    assert!(mine.pull(priority(5), 2).await.unwrap().is_empty());
    assert!(first.iter().chain(&rest).all(|delivery| !delivery.redelivered));
}

#[tokio::test]
async fn priorities_are_queues_of_their_own() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let (low, high) = (entry(0), entry(9));
    for entry in [&low, &high] {
        bus.submit(entry).await.unwrap();
    }
    let mut queues = queues(&bus, LEASE).await;
    assert!(queues.pull(priority(5), 5).await.unwrap().is_empty());
    assert_eq!(ids(&[take(&mut queues, 9).await]), [high.task.id]);
    assert_eq!(ids(&[take(&mut queues, 0).await]), [low.task.id]);
}

#[tokio::test]
async fn what_is_not_ended_comes_again_and_says_so() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    bus.submit(&entry).await.unwrap();
    let mut queues = queues(&bus, Duration::from_secs(1)).await;
    assert!(!take(&mut queues, 5).await.redelivered);
    let again = eventually("a redelivery", async || queues.pull(priority(5), 1).await.unwrap().pop()).await;
    assert_eq!((again.redelivered, again.entry.as_ref()), (true, Ok(&entry)));
    bus.drop_delivery(&again).await;
    eventually("the end of the delivery", async || (server.consumer(5).await == (0, 0)).then_some(())).await;
}

#[tokio::test]
async fn what_is_given_back_comes_again() {
    let server = Server::start().await;
    let bus = server.bus().await;
    bus.submit(&entry(5)).await.unwrap();
    let mut queues = queues(&bus, LEASE).await;
    let delivery = take(&mut queues, 5).await;
    bus.return_delivery(&delivery, Duration::ZERO).await;
    let again = eventually("a redelivery", async || queues.pull(priority(5), 1).await.unwrap().pop()).await;
    assert!(again.redelivered);
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_shown_with_its_cause() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let subject = format!("nexus.queue.qa.5.{}", entry(5).task.id);
    server.raw().await.request(subject.clone(), r#"{"v":1}"#.into()).await.unwrap();
    let delivery = take(&mut queues(&bus, LEASE).await, 5).await;
    let Err(BusError::Unreadable { subject: named, cause, .. }) = &delivery.entry else { panic!("{delivery:?}") };
    assert_eq!((named, delivery.subject.as_str()), (&subject, subject.as_str()));
    assert!(cause.contains("missing field"), "{cause}");
    assert_eq!(&delivery.payload[..], br#"{"v":1}"#);
}

#[tokio::test]
async fn an_entry_of_a_newer_nexus_is_told_from_one_that_cannot_be_read() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let subject = format!("nexus.queue.qa.5.{}", entry(5).task.id);
    server.raw().await.request(subject.clone(), r#"{"v":99}"#.into()).await.unwrap();
    let delivery = take(&mut queues(&bus, LEASE).await, 5).await;
    assert_eq!(delivery.entry, Err(BusError::Newer { subject, seq: 1, found: 99 }));
}

#[tokio::test]
async fn a_submission_calls_those_who_take() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let mut calls = Box::pin(nexus_bus::Queues::wakes(&bus, &crate::support::qa()).await.unwrap());
    bus.flush().await;
    bus.submit(&entry(7)).await.unwrap();
    let called = crate::support::within("a call", calls.next()).await;
    assert_eq!(called, Some(Lane::Priority(priority(7))));
    let interrupted = entry(7);
    let what = What::Interrupted { reason: "a test".into(), run: None };
    bus.append_and_queue(&event(&interrupted, what), 0, &interrupted).await.unwrap();
    let called = crate::support::within("a call", calls.next()).await;
    assert_eq!(called, Some(Lane::Again));
}

/// Where every department lives in one process, none is called over NATS; whoever calls one there is heard all the same.
#[tokio::test]
async fn a_department_that_lives_here_is_called_here() {
    let server = Server::start().await;
    let (bus, raw) = (server.bus().await, server.raw().await);
    bus.call_here();
    let subject = format!("nexus.wake.{}", crate::support::qa());
    // The broker has that subscription before anybody is called.
    let mut elsewhere = server.bus().await.listen(&subject).await.unwrap();
    // Nobody of that name is known here yet: it may be anywhere.
    bus.wake(&crate::support::qa(), Lane::Priority(priority(2))).await;
    let heard = crate::support::within("a call over NATS", elsewhere.next()).await.unwrap();
    assert_eq!(heard.payload, "2");
    let mut calls = Box::pin(nexus_bus::Queues::wakes(&bus, &crate::support::qa()).await.unwrap());
    bus.flush().await;
    bus.wake(&crate::support::qa(), Lane::Priority(priority(7))).await;
    bus.wake(&crate::support::qa(), Lane::Again).await;
    // Served in the order of the lanes, however many were called meanwhile.
    let mut both = Vec::new();
    while both.len() < 2 {
        both.extend(crate::support::within("a call", calls.next()).await);
    }
    assert_eq!(both, [Lane::Again, Lane::Priority(priority(7))]);
    raw.publish(subject, "3".into()).await.unwrap();
    assert_eq!(crate::support::within("a call", calls.next()).await, Some(Lane::Priority(priority(3))));
    let next = crate::support::within("that call, over NATS too", elsewhere.next()).await.unwrap();
    assert_eq!(next.payload, "3", "none of the calls before went there");
}

/// A call says that something may wait, and so do a hundred: but the last one is never left out.
#[tokio::test]
async fn of_many_calls_in_a_moment_two_are_made() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let mut calls = Box::pin(nexus_bus::Queues::wakes(&bus, &crate::support::qa()).await.unwrap());
    bus.flush().await;
    let begun = std::time::Instant::now();
    for _ in 0..1000 {
        bus.wake(&crate::support::qa(), Lane::Priority(priority(7))).await;
    }
    // One at once, and one at the end of the moment for those behind it; a busy machine may take several moments.
    let moments = usize::try_from(begun.elapsed().as_millis()).unwrap() + 1;
    for _ in 0..2 {
        let called = crate::support::within("a call", calls.next()).await;
        assert_eq!(called, Some(Lane::Priority(priority(7))));
    }
    bus.wake(&crate::support::qa(), Lane::Again).await;
    let mut made = 2;
    while crate::support::within("the other lane's call", calls.next()).await != Some(Lane::Again) {
        made += 1;
    }
    assert!(made <= 2 * moments, "{made} calls in {moments} ms");
}

/// Wherever it waits, the ledger knows it: it isn't submitted a second time.
#[tokio::test]
async fn a_task_that_was_interrupted_waits_in_a_lane_of_its_own_until_it_is_retried() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let task = entry(3);
    bus.submit(&task).await.unwrap();
    let mut queues = queues(&bus, LEASE).await;
    bus.drop_delivery(&take(&mut queues, 3).await).await;
    let what = What::Interrupted { reason: "a test".into(), run: None };
    let again = QueueEntry { interruptions: 1, ..task.clone() };
    let seq = bus.append_and_queue(&event(&task, what), 0, &again).await.unwrap();
    assert_eq!(bus.submit(&task).await, Ok(Submitted::Known(Box::new(task.task.clone()))));
    assert_eq!(bus.last_entry(task.task.id).await, Ok(Some(again.clone())));
    assert!(queues.pull(priority(3), 1).await.unwrap().is_empty());
    assert_eq!(take(&mut queues, Lane::Again).await.entry, Ok(again.clone()));
    let seq = bus.append(&event(&task, cancelled()), seq, None).await.unwrap();
    let what = What::Retried { reason: "a test".into() };
    bus.append_and_queue(&event(&task, what), seq, &again).await.unwrap();
    assert!(queues.pull(Lane::Again, 1).await.unwrap().is_empty());
    assert_eq!(ids(&[take(&mut queues, 3).await]), [task.task.id]);
}
