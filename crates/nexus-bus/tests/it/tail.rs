//! Reading the ledger: in order, from any position, and past what can't be read.

use nexus_bus::{Bus, BusError, Tail};
use nexus_core::view::Record;

use crate::support::{Server, completed, entry, event, within};

/// Reads until nothing is pending; checks the order, and returns the sequences and the position reached.
async fn read(tail: &mut Tail, upto: u64) -> (Vec<(u64, Record)>, u64) {
    let (mut records, mut position) = (Vec::new(), 0);
    while position < upto {
        let batch = within("a batch", tail.next()).await.unwrap();
        records.extend(batch.records);
        position = batch.upto;
        assert!(batch.pending <= upto - position, "what follows is said: {}", batch.pending);
    }
    assert!(records.is_sorted_by_key(|(seq, _)| *seq));
    (records, position)
}

/// `n` tasks with an end each: `2 * n` records.
async fn write(bus: &Bus, n: usize) {
    for _ in 0..n {
        let entry = entry(5);
        bus.submit(&entry).await.unwrap();
        bus.append(&event(&entry, completed(0)), 0, None).await.unwrap();
    }
}

#[tokio::test]
async fn all_records_come_in_order_then_live_and_from_any_position() {
    let server = Server::start().await;
    let bus = server.bus().await;
    write(&bus, 600).await;
    let mut tail = bus.tail(0).await.unwrap();
    assert_eq!(tail.pending, 1200);
    let (records, position) = read(&mut tail, 1200).await;
    assert_eq!((records.len(), position), (1200, 1200));
    assert!(matches!((&records[0].1, &records[1].1), (Record::Entry(_), Record::Event(_))));
    write(&bus, 1).await;
    let (live, _) = read(&mut tail, 1202).await;
    assert_eq!(live.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1201, 1202]);
    let mut later = bus.tail(700).await.unwrap();
    assert_eq!(later.pending, 502);
    let (rest, _) = read(&mut later, 1202).await;
    assert_eq!((rest.len(), rest[0].0), (502, 701));
    assert_eq!(bus.tail(1202).await.unwrap().pending, 0);
}

#[tokio::test]
async fn what_cannot_be_read_is_left_out_and_passed() {
    let server = Server::start().await;
    let bus = server.bus().await;
    write(&bus, 1).await;
    let raw = server.raw().await;
    for subject in ["nexus.event.qa.x", "nexus.queue.qa.5.x"] {
        raw.request(subject, "not json".into()).await.unwrap();
    }
    write(&bus, 1).await;
    let (records, position) = read(&mut bus.tail(0).await.unwrap(), 6).await;
    assert_eq!(records.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1, 2, 5, 6]);
    assert_eq!(position, 6);
}

/// An unreadable record at the very end still counts as read.
#[tokio::test]
async fn a_tail_that_ends_with_something_unreadable_reaches_the_end() {
    let server = Server::start().await;
    let bus = server.bus().await;
    server.raw().await.request("nexus.event.qa.x", "not json".into()).await.unwrap();
    let (records, position) = read(&mut bus.tail(0).await.unwrap(), 1).await;
    assert_eq!((records.len(), position), (0, 1));
}

/// More bytes than one pull may bring come in several.
#[tokio::test]
async fn large_records_come_by_and_by() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let raw = server.raw().await;
    let large = bytes::Bytes::from(vec![b'x'; 7 << 20]);
    for _ in 0..5 {
        raw.request("nexus.event.qa.x", large.clone()).await.unwrap();
    }
    write(&bus, 1).await;
    let mut tail = bus.tail(0).await.unwrap();
    let first = within("a batch", tail.next()).await.unwrap();
    assert!(first.upto < 5 && first.pending > 0, "{} and {} more", first.upto, first.pending);
    let (records, position) = read(&mut tail, 7).await;
    assert_eq!((records.len(), position), (2, 7));
}

/// A record that a newer nexus wrote is not passed over: later ones may depend on it.
#[tokio::test]
async fn a_tail_ends_before_what_is_newer() {
    let server = Server::start().await;
    let bus = server.bus().await;
    write(&bus, 2).await;
    let newer = r#"{"v":99,"what":{"type":"teleported"}}"#;
    server.raw().await.request("nexus.event.qa.x", newer.into()).await.unwrap();
    write(&bus, 1).await;
    let mut tail = bus.tail(0).await.unwrap();
    let (mut records, mut upto) = (0, 0);
    let error = loop {
        let batch = within("a batch", tail.next()).await.unwrap();
        records += batch.records.len();
        upto = batch.upto.max(upto);
        assert!(batch.pending > 0);
        if let Some(error) = batch.newer {
            break error;
        }
    };
    assert_eq!((records, upto), (4, 4));
    assert!(
        matches!(&error, BusError::Newer { subject, seq: 5, found: 99 } if subject == "nexus.event.qa.x"),
        "{error}"
    );
    assert!(within("the end", tail.next()).await.is_none());
}
