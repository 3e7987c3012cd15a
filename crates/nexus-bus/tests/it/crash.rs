//! A server that is killed and comes back: nothing that was acknowledged is lost, and nothing is there twice.

use std::collections::HashMap;

use futures_util::StreamExt as _;
use nexus_bus::{BusError, Submitted};
use nexus_core::view::Record;

use crate::support::{Server, entry, eventually, within};

const TASKS: u64 = 400;

#[tokio::test]
async fn every_acknowledged_submission_outlives_the_server() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let submit = |n: u64| {
        let (bus, server) = (&bus, &server);
        async move {
            if n == TASKS / 2 {
                server.crash().await;
            }
            let entry = entry(n % 10);
            loop {
                match bus.submit(&entry).await {
                    Ok(Submitted::New(seq)) => return (entry.task.id, Some(seq)),
                    // It was there after all when it was asked for again.
                    Ok(Submitted::Known(_)) => return (entry.task.id, None),
                    Err(BusError::Unreachable(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    };
    let submitting = futures_util::stream::iter(0..TASKS).map(submit).buffer_unordered(32).collect::<HashMap<_, _>>();
    let acknowledged = within("all submissions", submitting).await;
    assert_eq!(acknowledged.len() as u64, TASKS);
    let mut tail = within("a tail", bus.tail(0)).await.unwrap();
    assert_eq!(tail.pending, TASKS, "none is lost and none is there twice");
    let mut found = HashMap::new();
    while (found.len() as u64) < TASKS {
        for (seq, record) in within("a batch", tail.next()).await.unwrap().records {
            assert!(matches!(record, Record::Entry(_)));
            assert_eq!(found.insert(record.task_id(), seq), None);
        }
    }
    for (id, seq) in acknowledged {
        assert!(seq.is_none_or(|seq| found[&id] == seq), "{id}");
    }
}

/// Messages that the broker had sent, or was about to, may be lost with the connection: a tail ends with it.
#[tokio::test]
async fn a_tail_ends_with_its_connection() {
    let server = Server::start().await;
    let bus = server.bus().await;
    bus.submit(&entry(5)).await.unwrap();
    let mut tail = bus.tail(0).await.unwrap();
    assert_eq!(within("a batch", tail.next()).await.unwrap().upto, 1);
    server.crash().await;
    assert!(within("its end", tail.next()).await.is_none());
    assert!(tail.next().await.is_none(), "it stays ended");
    let entry = entry(5);
    eventually("a submission", async || bus.submit(&entry).await.ok()).await;
    let mut tail = bus.tail(1).await.unwrap();
    let batch = within("the rest", tail.next()).await.unwrap();
    assert_eq!(
        batch.records.iter().map(|(seq, record)| (*seq, record.task_id())).collect::<Vec<_>>(),
        [(2, entry.task.id)]
    );
}
