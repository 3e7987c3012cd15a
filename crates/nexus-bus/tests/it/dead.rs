//! A task that has failed for good has one dead letter, with its history, until it is retried or forgotten.

use async_nats::jetstream;
use jiff::Timestamp;
use nexus_bus::{Bus, BusError, Last};
use nexus_core::api::DeadLetter;
use nexus_core::dead::{DeadTask, MAX_HISTORY};
use nexus_core::event::{Failure, FailureKind, Outcome, What};
use nexus_core::refusal::Refusal;
use nexus_core::task::{QueueEntry, Task};

use crate::support::{Server, entry, event};

fn failure() -> Failure {
    Failure { kind: FailureKind::Exit, message: "exit code 1".into() }
}

fn outcome(output: &str) -> Outcome {
    Outcome { output: output.to_owned(), ..Outcome::default() }
}

/// Attempts that failed (the last of them for good), each with so much output; it has been submitted already.
async fn fail(bus: &Bus, entry: &QueueEntry, mut last: u64, attempts: u32, output: &str) -> Last {
    for attempt in 1..attempts {
        let (failure, outcome, retry_at) = (failure(), outcome(output), Timestamp::now());
        let what = What::AttemptFailed { failure, outcome, retry_at };
        last = bus.append(&event(&QueueEntry { attempt, ..entry.clone() }, what), last, None).await.unwrap();
    }
    let what = What::Failed { failure: failure(), outcome: outcome(output) };
    let event = event(&QueueEntry { attempt: attempts, ..entry.clone() }, what);
    let seq = bus.append(&event, last, None).await.unwrap();
    Last { event, seq }
}

async fn retry(bus: &Bus, entry: &QueueEntry, failed: &Last) -> u64 {
    let retried = event(entry, What::Retried { reason: "a test".into() });
    bus.append_and_queue(&retried, failed.seq, entry).await.unwrap()
}

/// Dead letters, and how many there have ever been.
async fn letters(server: &Server) -> (u64, u64) {
    let js = jetstream::new(server.raw().await);
    let state = js.get_stream("NEXUS_DEAD").await.unwrap().cached_info().state.clone();
    (state.messages, state.last_sequence)
}

async fn letter(server: &Server, entry: &QueueEntry) -> DeadTask {
    let stored = server.last("NEXUS_DEAD", &format!("nexus.dead.qa.{}", entry.task.id)).await;
    serde_json::from_slice(&stored.payload).unwrap()
}

#[tokio::test]
async fn it_says_what_failed_and_all_that_happened() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let plain = entry(5);
    let entry = QueueEntry { task: Task { traceparent: Some(trace.into()), ..plain.task.clone() }, ..plain };
    bus.submit(&entry).await.unwrap();
    let failed = fail(&bus, &entry, 0, 3, &"x".repeat(100)).await;
    assert_eq!(bus.bury_task(&failed).await, Ok(true));
    let letter = letter(&server, &entry).await;
    assert_eq!((letter.v, &letter.task, letter.failure), (nexus_core::task::STORED_VERSION, &entry.task, failure()));
    assert_eq!((letter.attempts, letter.left_out, letter.at), (3, 0, failed.event.at));
    let history: Vec<_> = letter.history.iter().map(|event| (event.what.name(), event.attempt)).collect();
    assert_eq!(history, [("attempt_failed", 1), ("attempt_failed", 2), ("failed", 3)]);
    assert_eq!(letter.history[2], failed.event);
    let stored = server.last("NEXUS_DEAD", &format!("nexus.dead.qa.{}", entry.task.id)).await;
    let header = |name: &str| stored.headers.get(name).map(|value| value.as_str().to_owned());
    assert_eq!(header("ce-type").as_deref(), Some("nexus.dead.task"));
    assert_eq!(header("ce-subject"), Some(entry.task.id.to_string()));
    assert_eq!(header("ce-time"), Some(failed.event.at.to_string()));
    assert_eq!(header("traceparent").as_deref(), Some(trace));
}

#[tokio::test]
async fn whoever_writes_it_and_how_often_it_is_there_once() {
    let server = Server::start().await;
    let (one, two) = (server.bus().await, server.bus().await);
    for n in 1..=50 {
        let entry = entry(5);
        one.submit(&entry).await.unwrap();
        let failed = fail(&one, &entry, 0, 2, &"x".repeat(100)).await;
        let (mine, yours) = tokio::join!(one.bury_task(&failed), two.bury_task(&failed));
        assert_eq!(u32::from(mine.unwrap()) + u32::from(yours.unwrap()), 1);
        assert_eq!(one.bury_task(&failed).await, Ok(false));
        assert_eq!(letters(&server).await, (n, n));
    }
}

#[tokio::test]
async fn a_retry_takes_it_away_and_the_next_failure_brings_another() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    let (department, id) = (entry.task.department.clone(), entry.task.id);
    bus.submit(&entry).await.unwrap();
    let first = fail(&bus, &entry, 0, 1, "").await;
    bus.bury_task(&first).await.unwrap();
    let retried = retry(&bus, &entry, &first).await;
    // Too late: it is on its way again.
    assert_eq!(bus.bury_task(&first).await, Ok(false));
    bus.exhume_task(&department, id, retried).await.unwrap();
    assert_eq!(letters(&server).await, (0, 1));
    assert_eq!(bus.bury_task(&first).await, Ok(false));
    let second = fail(&bus, &entry, retried, 2, "").await;
    assert_eq!(bus.bury_task(&second).await, Ok(true));
    bus.exhume_task(&department, id, retried).await.unwrap();
    assert_eq!(letters(&server).await, (1, 2), "it is about what came after that retry");
    let letter = letter(&server, &entry).await;
    let history: Vec<_> = letter.history.iter().map(|event| event.what.name()).collect();
    assert_eq!((letter.attempts, &history[..]), (2, &["failed", "retried", "attempt_failed", "failed"][..]));
}

/// A retry whose company ended before it could take the letter away.
#[tokio::test]
async fn a_letter_that_was_left_behind_is_replaced_by_the_next() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    bus.submit(&entry).await.unwrap();
    let first = fail(&bus, &entry, 0, 1, "").await;
    bus.bury_task(&first).await.unwrap();
    let retried = retry(&bus, &entry, &first).await;
    let second = fail(&bus, &entry, retried, 1, "").await;
    assert_eq!(bus.bury_task(&first).await, Ok(false));
    assert_eq!(bus.bury_task(&second).await, Ok(true));
    assert_eq!(letters(&server).await, (1, 2));
    assert_eq!(letter(&server, &entry).await.at, second.event.at);
}

#[tokio::test]
async fn a_long_history_is_shortened_until_it_fits() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    bus.submit(&entry).await.unwrap();
    let failed = fail(&bus, &entry, 0, 200, &"x".repeat(16 * 1024)).await;
    assert_eq!(bus.bury_task(&failed).await, Ok(true));
    let letter = letter(&server, &entry).await;
    assert_eq!((letter.history.len(), letter.left_out, letter.attempts), (200, 0, 200));
    assert_eq!(letter.history[199], failed.event);
    let bytes = serde_json::to_vec(&letter.history).unwrap().len();
    assert!(bytes < MAX_HISTORY + 1024 && bytes > MAX_HISTORY - 32 * 1024, "{bytes}");
}

/// A task that takes most of a message leaves little for its history.
#[tokio::test]
async fn a_long_task_has_a_letter_where_messages_are_small() {
    let server = Server::with_messages_of(64 * 1024).await;
    let bus = server.bus().await;
    let mut entry = entry(5);
    entry.task.description = "x".repeat(36_000);
    bus.submit(&entry).await.unwrap();
    // JSON makes six bytes of each of these: a single event has more than a message can have.
    let failed = fail(&bus, &entry, 0, 200, &"\u{1}".repeat(16 * 1024)).await;
    assert_eq!(bus.bury_task(&failed).await, Ok(true));
    let letter = letter(&server, &entry).await;
    assert_eq!((letter.history.len() as u64 + letter.left_out, letter.attempts), (200, 200));
    let What::Failed { outcome, .. } = &letter.history.last().unwrap().what else { panic!("{letter:?}") };
    assert!(outcome.truncated && outcome.output.is_empty(), "{outcome:?}");
}

/// A payload that could not become work may be as long as a message, and JSON makes more of it.
#[tokio::test]
async fn what_is_no_work_is_kept_as_far_as_it_fits() {
    let server = Server::with_messages_of(64 * 1024).await;
    let bus = server.bus().await;
    let refusal = Refusal::invalid("no work");
    bus.bury("qa", "nexus.inbox.qa", &[1; 65_000], refusal, Timestamp::now()).await.unwrap();
    let stored = server.last("NEXUS_DEAD", "nexus.dead.qa.*").await;
    let letter: DeadLetter = serde_json::from_slice(&stored.payload).unwrap();
    assert!((1_000..65_000).contains(&letter.payload.len()), "{}", letter.payload.len());
}

#[tokio::test]
async fn what_is_forgotten_has_none() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    bus.submit(&entry).await.unwrap();
    let failed = fail(&bus, &entry, 0, 1, "").await;
    bus.bury_task(&failed).await.unwrap();
    bus.purge(entry.task.id).await.unwrap();
    assert_eq!(bus.bury_task(&failed).await, Ok(false));
    assert_eq!(letters(&server).await, (0, 1));
}

/// It would never come back by itself: nobody is to wait for it.
#[tokio::test]
async fn a_stream_that_somebody_has_deleted_is_a_refusal() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    bus.submit(&entry).await.unwrap();
    let failed = fail(&bus, &entry, 0, 1, "").await;
    jetstream::new(server.raw().await).delete_stream("NEXUS_DEAD").await.unwrap();
    let refused = bus.bury_task(&failed).await;
    assert!(matches!(&refused, Err(BusError::Refused(cause)) if cause.contains("deleted")), "{refused:?}");
    let refused = bus.exhume_task(&entry.task.department, entry.task.id, failed.seq + 1).await;
    assert!(matches!(&refused, Err(BusError::Refused(_))), "{refused:?}");
}
