//! An answer that was lost on the way means "unknown": it is asked again, and what was done is done once.

use jiff::Timestamp;
use nexus_bus::{Access, Bus, Submitted};
use nexus_core::event::{Failure, FailureKind, Outcome, What};
use nexus_core::view::Record;

use crate::proxy::Proxy;
use crate::support::{LEASE, Server, claim, completed, entry, queues, take, within};

/// A connection by way of a proxy.
async fn by_proxy(server: &Server) -> (Proxy, Bus) {
    let proxy = Proxy::start(server.broker.port()).await;
    let access = Access { url: format!("nats://{}", proxy.addr), ..server.access.clone() };
    let bus = within("a connection", Bus::connect(&access, "test")).await.unwrap();
    (proxy, bus)
}

/// Everything on the ledger.
async fn ledger(bus: &Bus, expected: u64) -> Vec<Record> {
    let mut tail = bus.tail(0).await.unwrap();
    assert_eq!(tail.pending, expected);
    let mut records = Vec::new();
    while (records.len() as u64) < expected {
        records.extend(within("a batch", tail.next()).await.unwrap().records.into_iter().map(|(_, record)| record));
    }
    records
}

#[tokio::test]
async fn a_submission_whose_answer_was_lost_is_new_and_there_once() {
    let server = Server::start().await;
    let direct = server.bus().await;
    let (proxy, bus) = by_proxy(&server).await;
    let entry = entry(5);
    proxy.lose_answers(1);
    assert_eq!(bus.submit(&entry).await, Ok(Submitted::New(1)));
    assert!(proxy.has_lost_all());
    assert_eq!(ledger(&direct, 1).await, [Record::Entry(entry.clone())]);
    assert!(matches!(bus.submit(&entry).await, Ok(Submitted::Known(_))));
}

#[tokio::test]
async fn a_batch_whose_answer_was_lost_is_there_once() {
    let server = Server::start().await;
    let direct = server.bus().await;
    let (proxy, bus) = by_proxy(&server).await;
    let entry = entry(5);
    direct.submit(&entry).await.unwrap();
    let delivery = take(&mut queues(&direct, LEASE).await, 5).await;
    let claim = claim(&bus, &delivery, 0).await.unwrap();
    proxy.lose_answers(1);
    let seq = claim.requeue("a test", None, Timestamp::now()).await.unwrap();
    assert!(proxy.has_lost_all());
    let records = ledger(&direct, 4).await;
    assert!(matches!(&records[2..], [Record::Event(_), Record::Entry(next)] if next.interruptions == 1), "{records:?}");
    assert_eq!(direct.last_event(entry.task.id).await.unwrap().unwrap().seq, seq - 1);
}

#[tokio::test]
async fn a_failure_whose_answer_was_lost_and_what_follows_at_once_are_there_once() {
    let server = Server::start().await;
    let direct = server.bus().await;
    let (proxy, bus) = by_proxy(&server).await;
    let entry = entry(5);
    direct.submit(&entry).await.unwrap();
    let delivery = take(&mut queues(&direct, LEASE).await, 5).await;
    let claim = claim(&bus, &delivery, 0).await.unwrap();
    let now = Timestamp::now();
    let failure = Failure { kind: FailureKind::Exit, message: "exit code 1".into() };
    let what = What::AttemptFailed { failure, outcome: Outcome::default(), retry_at: now };
    proxy.lose_answers(1);
    claim.conclude_and_retry(what, None, now, now).await.unwrap();
    assert!(proxy.has_lost_all());
    let records = ledger(&direct, 4).await;
    assert!(matches!(&records[2..], [Record::Event(_), Record::Entry(next)] if next.attempt == 2), "{records:?}");
}

#[tokio::test]
async fn an_end_whose_answer_was_lost_is_there_once() {
    let server = Server::start().await;
    let direct = server.bus().await;
    let (proxy, bus) = by_proxy(&server).await;
    let entry = entry(5);
    direct.submit(&entry).await.unwrap();
    let delivery = take(&mut queues(&direct, LEASE).await, 5).await;
    let claim = claim(&bus, &delivery, 0).await.unwrap();
    proxy.lose_answers(1);
    claim.conclude(completed(0), Timestamp::now()).await.unwrap();
    assert!(proxy.has_lost_all());
    assert_eq!(ledger(&direct, 3).await.len(), 3);
}
