//! The records of failed departments: the newest of each, on a stream that may be older than its subject.

use async_nats::jetstream;
use jiff::Timestamp;
use nexus_bus::{Bus, BusError, StreamOptions};
use nexus_core::id::{DepartmentName, NodeId};
use nexus_core::restart::{RestartPolicy, Verdict};
use nexus_core::staff::StaffRecord;
use uuid::Uuid;

use crate::support::{Server, qa};

fn node(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

fn record(node_name: &str, department: DepartmentName, failures: usize) -> StaffRecord {
    let mut record = StaffRecord::new(node(node_name), department, Uuid::nil(), Timestamp::UNIX_EPOCH);
    for _ in 0..failures {
        record.failed(&RestartPolicy::default(), Verdict::Escalate, "boom", Uuid::nil(), Timestamp::UNIX_EPOCH);
    }
    record
}

#[tokio::test]
async fn the_newest_record_takes_the_place_of_the_one_before() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let product = DepartmentName::new("product").unwrap();
    for failures in 1..4 {
        bus.write_staff(&record("n1", qa(), failures)).await.unwrap();
    }
    bus.write_staff(&record("n1", product.clone(), 1)).await.unwrap();
    bus.write_staff(&record("n2", qa(), 9)).await.unwrap();
    assert_eq!(bus.staff(&node("n1")).await.unwrap(), [record("n1", product, 1), record("n1", qa(), 3)]);
    let mut stream = jetstream::new(server.raw().await).get_stream("NEXUS_TASKS").await.unwrap();
    assert_eq!(stream.info().await.unwrap().state.messages, 3);
}

#[tokio::test]
async fn an_older_ledger_gets_the_subject_and_what_cannot_be_read_is_no_record() {
    let server = Server::start().await;
    let raw = server.raw().await;
    let subjects = ["nexus.queue.*.*.*", "nexus.event.*.*", "nexus.schedule.*"].map(str::to_owned).to_vec();
    let older = jetstream::stream::Config {
        name: "NEXUS_TASKS".to_owned(),
        subjects,
        allow_direct: true,
        ..jetstream::stream::Config::default()
    };
    jetstream::new(raw.clone()).create_stream(older).await.unwrap();
    let bus = Bus::connect(&server.access, "test").await.unwrap();
    bus.prepare(&StreamOptions::default()).await.unwrap();
    bus.write_staff(&record("n1", qa(), 1)).await.unwrap();
    raw.request("nexus.staff.n1.other", "{}".into()).await.unwrap();
    assert_eq!(bus.staff(&node("n1")).await.unwrap(), [record("n1", qa(), 1)]);
    // Not even known to be stopped or not: nothing is begun on it.
    raw.request("nexus.staff.n1.other", r#"{"v":1000}"#.into()).await.unwrap();
    let error = bus.staff(&node("n1")).await.unwrap_err();
    assert!(matches!(error, BusError::Newer { found: 1000, .. }), "{error}");
    assert!(error.to_string().contains("nexus.staff.n1.other at 3"), "{error}");
}
