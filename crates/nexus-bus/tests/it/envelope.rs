//! Published messages can be read by other programs: CloudEvents in NATS's binary mode, and the submission's trace.

use async_nats::HeaderMap;
use jiff::Timestamp;
use nexus_bus::new_traceparent;
use nexus_core::event::What;

use crate::support::{LEASE, Server, claim, completed, entry, queues, take};

fn check(headers: &HeaderMap, kind: &str, about: &str, at: Timestamp, traceparent: &str) -> String {
    let get = |name: &str| headers.get(name).map(|value| value.as_str().to_owned()).unwrap_or_default();
    assert_eq!(get("ce-specversion"), "1.0");
    assert_eq!(get("ce-type"), kind);
    assert_eq!(get("ce-source"), "/nexus");
    assert_eq!(get("ce-subject"), about);
    assert_eq!(get("ce-time").parse::<Timestamp>().unwrap(), at);
    assert_eq!(get("content-type"), "application/json");
    assert_eq!(get("traceparent"), traceparent, "{kind}");
    assert!(!get("ce-id").is_empty());
    get("ce-id")
}

#[tokio::test]
async fn everything_is_a_cloud_event_of_one_trace() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let mut entry = entry(5);
    let trace = new_traceparent();
    entry.task.traceparent = Some(trace.clone());
    let id = entry.task.id.to_string();
    bus.submit(&entry).await.unwrap();
    let queue = server.last("NEXUS_TASKS", &format!("nexus.queue.qa.5.{id}")).await;
    let mut ids = vec![check(&queue.headers, "nexus.task.queued", &id, entry.queued_at, &trace)];
    let mut queues = queues(&bus, LEASE).await;
    let first = claim(&bus, &take(&mut queues, 5).await, 0).await.unwrap();
    let subject = format!("nexus.event.qa.{id}");
    let mut seen = async |kind: &str| {
        let last = bus.last_event(entry.task.id).await.unwrap().unwrap();
        let stored = server.last("NEXUS_TASKS", &subject).await;
        ids.push(check(&stored.headers, kind, &id, last.event.at, &trace));
        last.seq
    };
    seen("nexus.task.started").await;
    first.requeue("a test", None, Timestamp::now()).await.unwrap();
    let seq = seen("nexus.task.interrupted").await;
    let again = server.last("NEXUS_TASKS", &format!("nexus.queue.qa.again.{id}")).await;
    check(
        &again.headers,
        "nexus.task.queued",
        &id,
        bus.last_entry(entry.task.id).await.unwrap().unwrap().queued_at,
        &trace,
    );
    let second = claim(&bus, &take(&mut queues, "again").await, seq).await.unwrap();
    seen("nexus.task.started").await;
    second.conclude(completed(0), Timestamp::now()).await.unwrap();
    seen("nexus.task.completed").await;
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5, "each has an id of its own");
}

#[tokio::test]
async fn an_event_without_a_trace_has_no_such_header() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    let asked = crate::support::event(&entry, What::CancelRequested { reason: String::new(), of: None });
    bus.append(&asked, 0, None).await.unwrap();
    let stored = server.last("NEXUS_TASKS", &format!("nexus.event.qa.{}", entry.task.id)).await;
    assert!(stored.headers.get("traceparent").is_none());
}
