//! A server that is killed and comes back: nothing that was acknowledged is lost, and nothing is there twice.

use std::collections::HashMap;

use futures_util::StreamExt as _;
use nexus_bus::{BusError, Submitted};
use nexus_core::view::Record;

use crate::support::{Server, entry, within};

const TASKS: u64 = 400;

#[tokio::test]
async fn every_acknowledged_submission_outlives_the_server() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let first = server.broker.pid().unwrap();
    let submit = |n: u64| {
        let (bus, broker) = (&bus, &server.broker);
        async move {
            if n == TASKS / 2 {
                let pid = rustix::process::Pid::from_raw(i32::try_from(first).unwrap()).unwrap();
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
                let back = |status: &nexus_broker::Status| matches!(status, nexus_broker::Status::Running { pid } if *pid != first);
                broker.status().wait_for(back).await.unwrap();
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
    let second = server.broker.pid();
    assert_ne!(second, Some(first));
}
