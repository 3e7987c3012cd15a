//! A queue that was deleted by somebody else: a pull says so at once, and opening it again brings what waits.

use async_nats::jetstream;
use nexus_bus::BusError;

use crate::support::{LEASE, Server, entry, priority, queues, take};

#[tokio::test]
async fn a_pull_is_refused_until_the_queues_are_opened_again() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let mut before = queues(&bus, LEASE).await;
    let stream = jetstream::new(server.raw().await).get_stream("NEXUS_TASKS").await.unwrap();
    assert!(stream.delete_consumer("qa-5").await.unwrap().success);
    let entry = entry(5);
    bus.submit(&entry).await.unwrap();
    let refused = before.pull(priority(5), 1).await.unwrap_err();
    assert!(matches!(&refused, BusError::Refused(cause) if cause.contains("qa-5")), "{refused:?}");
    // The others are as they were.
    assert!(before.pull(priority(4), 1).await.unwrap().is_empty());
    let delivery = take(&mut queues(&bus, LEASE).await, 5).await;
    assert_eq!(delivery.entry.as_ref(), Ok(&entry));
}
