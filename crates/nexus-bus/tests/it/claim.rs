//! The writes of a claim: its end, its next attempt, or its way back to the queue, each with the end of its delivery.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nexus_bus::{BusError, Delivery};
use nexus_core::event::{Failure, FailureKind, Outcome, What};
use nexus_core::fence::Fence;
use nexus_core::lane::Lane;
use nexus_core::task::QueueEntry;

use crate::support::{LEASE, Server, claim, completed, entry, eventually, priority, queues, take};

#[tokio::test]
async fn a_task_is_started_renewed_and_ended() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    bus.submit(&entry).await.unwrap();
    let delivery = take(&mut queues(&bus, LEASE).await, 5).await;
    let claim = claim(&bus, &delivery, 0).await.unwrap();
    let last = bus.last_event(entry.task.id).await.unwrap().unwrap();
    let What::Started { node, worker, agent, delivery } = &last.event.what else { panic!("{last:?}") };
    assert_eq!((node.as_str(), worker.as_str(), agent.as_str()), ("node", "worker-0", "shell"));
    assert!(delivery.starts_with("$JS.ACK."), "{delivery}");
    claim.renew(Duration::from_secs(5)).await.unwrap();
    assert_eq!(claim.look().await, Ok(None));
    let seq = claim.conclude(completed(0), Timestamp::now()).await.unwrap();
    assert_eq!(bus.last_event(entry.task.id).await.unwrap().unwrap().seq, seq);
    eventually("the end of the delivery", async || (server.consumer(5).await == (0, 0)).then_some(())).await;
}

/// A worker may fail when its task has just ended; its supervisor then gives back a task that is over.
#[tokio::test]
async fn a_claim_writes_one_end() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    bus.submit(&entry).await.unwrap();
    let claim = claim(&bus, &take(&mut queues(&bus, LEASE).await, 5).await, 0).await.unwrap();
    let seq = claim.conclude(completed(0), Timestamp::now()).await.unwrap();
    let again = claim.requeue("its worker failed", None, Timestamp::now()).await;
    assert!(matches!(again, Err(BusError::Conflict)), "{again:?}");
    assert_eq!(claim.look().await, Ok(Some(Fence::Lost)));
    assert_eq!(bus.last_event(entry.task.id).await.unwrap().unwrap().seq, seq);
}

/// Three renewals of a lease of a second keep a task for longer than that.
#[tokio::test]
async fn a_renewal_moves_the_end_of_the_lease() {
    let server = Server::start().await;
    let bus = server.bus().await;
    bus.submit(&entry(5)).await.unwrap();
    let mut queues = queues(&bus, Duration::from_secs(1)).await;
    let claim = claim(&bus, &take(&mut queues, 5).await, 0).await.unwrap();
    let mut renewals = tokio::time::interval(Duration::from_millis(300));
    for _ in 0..6 {
        renewals.tick().await;
        claim.renew(Duration::from_secs(5)).await.unwrap();
        assert!(queues.pull(priority(5), 1).await.unwrap().is_empty());
    }
    // Not renewed any more: it comes again.
    let again = eventually("a redelivery", async || queues.pull(priority(5), 1).await.unwrap().pop()).await;
    assert!(again.redelivered);
}

#[tokio::test]
async fn a_requeue_puts_one_entry_before_all_others_and_ends_the_delivery() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    bus.submit(&entry).await.unwrap();
    let mut queues = queues(&bus, Duration::from_secs(1)).await;
    let claim = claim(&bus, &take(&mut queues, 5).await, 0).await.unwrap();
    claim.requeue("the test says so", None, Timestamp::now()).await.unwrap();
    // Nothing is held: no lease is left that could lapse and bring the task a second time.
    eventually("the end of the delivery", async || (server.consumer(5).await == (0, 0)).then_some(())).await;
    assert_eq!(server.consumer(Lane::Again).await, (1, 0));
    let again = take(&mut queues, Lane::Again).await;
    let next = again.entry.clone().unwrap();
    assert_eq!((next.attempt, next.interruptions, again.redelivered), (1, 1, false));
    assert_eq!(next.task, entry.task);
    let last = bus.last_event(entry.task.id).await.unwrap().unwrap();
    assert_eq!(last.event.what, What::Interrupted { reason: "the test says so".into(), run: None });
    let second = crate::support::claim(&bus, &again, last.seq).await.unwrap();
    second.conclude(completed(0), Timestamp::now()).await.unwrap();
    eventually("nothing left", async || (server.consumer(Lane::Again).await == (0, 0)).then_some(())).await;
}

fn failed(retry_at: Timestamp) -> What {
    let failure = Failure { kind: FailureKind::Exit, message: "exit code 1".into() };
    What::AttemptFailed { failure, outcome: Outcome::default(), retry_at }
}

#[tokio::test]
async fn a_failed_attempt_brings_the_next_one_when_it_is_due() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    bus.submit(&entry).await.unwrap();
    let mut queues = queues(&bus, LEASE).await;
    let claim = claim(&bus, &take(&mut queues, 5).await, 0).await.unwrap();
    let now = Timestamp::now();
    let retry_at = now + SignedDuration::from_millis(1200);
    let seq = claim.conclude_and_retry(failed(retry_at), None, retry_at, now).await.unwrap();
    assert_eq!(bus.last_event(entry.task.id).await.unwrap().unwrap().seq, seq - 1, "the schedule comes behind it");
    assert!(queues.pull(priority(5), 1).await.unwrap().is_empty());
    let next = eventually("the next attempt", async || queues.pull(priority(5), 5).await.unwrap().pop()).await;
    assert!(Timestamp::now() >= retry_at, "not before it is due");
    let next_entry = next.entry.unwrap();
    let expected = QueueEntry { attempt: 2, queued_at: now, spent: next_entry.spent, ..entry.clone() };
    assert_eq!(next_entry, expected);
    assert!(!next.redelivered);
    assert_eq!(server.consumer(5).await, (0, 1));
}

#[tokio::test]
async fn a_retry_that_is_due_at_once_waits_for_no_schedule_and_remembers_the_time_that_was_spent() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    bus.submit(&entry).await.unwrap();
    let mut queues = queues(&bus, LEASE).await;
    let claim = claim(&bus, &take(&mut queues, 5).await, 0).await.unwrap();
    let now = Timestamp::now() + SignedDuration::from_secs(7);
    let seq = claim.conclude_and_retry(failed(now), None, now, now).await.unwrap();
    let last = bus.last_event(entry.task.id).await.unwrap().unwrap();
    let delivery = queues.pull(priority(5), 1).await.unwrap().pop().expect("it waits, now");
    assert_eq!(delivery.seq(), seq);
    let brought = delivery.entry.unwrap();
    assert_eq!((brought.attempt, brought.resume, brought.after), (2, None, Some(last.seq)));
    assert!((7_000..60_000).contains(&brought.spent.wall_ms), "{:?}", brought.spent);
    // Somebody who is brought the first entry again finds that nothing is to be done.
    assert_eq!(bus.queue_next(&last, &entry, now).await.unwrap(), None);
    assert!(queues.pull(priority(5), 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_its_holder_did_not_live_to_queue_is_queued_once() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    bus.submit(&entry).await.unwrap();
    let mut queues = queues(&bus, LEASE).await;
    let delivery = take(&mut queues, 5).await;
    let claim = claim(&bus, &delivery, 0).await.unwrap();
    let now = Timestamp::now();
    // As its holder writes it, who is killed then.
    claim.conclude(failed(now), now).await.unwrap();
    let last = bus.last_event(entry.task.id).await.unwrap().unwrap();
    let written = bus.queue_next(&last, &entry, now).await.unwrap().expect("nothing follows yet");
    assert_eq!(bus.queue_next(&last, &entry, now).await.unwrap(), None, "but once");
    let brought = queues.pull(priority(5), 5).await.unwrap();
    assert_eq!(brought.iter().map(Delivery::seq).collect::<Vec<_>>(), [written]);
    let next = brought[0].entry.as_ref().unwrap();
    assert_eq!((next.attempt, next.after), (2, Some(last.seq)));
    // Its holder stood still and goes on: it writes no second one, and says so to nobody.
    assert_eq!(
        claim.conclude_and_retry(failed(now), None, now, now).await,
        Err(BusError::Conflict),
        "the event is there"
    );
    assert_eq!(claim.look().await.unwrap(), Some(Fence::Lost));
    assert!(queues.pull(priority(5), 1).await.unwrap().is_empty());
}

/// One that was on a schedule since before the task was retried by hand, say, comes due while it runs, and is no use to anybody.
#[tokio::test]
async fn what_follows_is_queued_behind_an_entry_that_is_left_over() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    bus.submit(&entry).await.unwrap();
    let mut queues = queues(&bus, LEASE).await;
    let claim = claim(&bus, &take(&mut queues, 5).await, 0).await.unwrap();
    let now = Timestamp::now();
    let queue = format!("nexus.queue.{}.5.{}", entry.task.department, entry.task.id);
    let left_over = serde_json::to_vec(&QueueEntry { attempt: 2, ..entry.clone() }).unwrap();
    server.raw().await.request(queue, left_over.into()).await.unwrap();
    let stray = queues.pull(priority(5), 1).await.unwrap().pop().expect("the one that is left over").seq();
    let seq = claim.conclude_and_retry(failed(now), None, now, now).await.unwrap();
    let event = bus.last_event(entry.task.id).await.unwrap().unwrap().seq;
    assert!(stray < event && event < seq, "{stray}, {event}, {seq}");
    let next = queues.pull(priority(5), 1).await.unwrap().pop().expect("one that follows the failure");
    assert_eq!((next.seq(), next.entry.unwrap().after), (seq, Some(event)));
}

#[tokio::test]
async fn whoever_was_not_told_that_its_failure_was_stored_queues_what_follows() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    bus.submit(&entry).await.unwrap();
    let mut queues = queues(&bus, LEASE).await;
    let claim = claim(&bus, &take(&mut queues, 5).await, 0).await.unwrap();
    let now = Timestamp::now();
    claim.conclude(failed(now), now).await.unwrap();
    assert_eq!(claim.conclude_and_retry(failed(now), None, now, now).await, Err(BusError::Conflict));
    assert_eq!(claim.look().await.unwrap(), Some(Fence::Lost));
    let written = claim.queue_next(now).await.unwrap();
    let next = queues.pull(priority(5), 1).await.unwrap().pop().expect("what follows");
    assert_eq!((Some(next.seq()), next.entry.unwrap().attempt), (written, 2));
    assert_eq!(claim.queue_next(now).await.unwrap(), None, "but once");
}
