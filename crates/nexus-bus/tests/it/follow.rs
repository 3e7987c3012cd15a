//! Following a log: every line once and in order, live or not, and an end.

use nexus_bus::{Bus, Client};
use nexus_core::log::LogLine;
use nexus_core::refusal::Refusal;
use nexus_core::task::QueueEntry;
use tokio::sync::mpsc::Receiver;

use crate::logs::write;
use crate::support::{Ceo, Server, completed, entry, event, within};

type Lines = Receiver<Result<LogLine, Refusal>>;

async fn next(lines: &mut Lines) -> u64 {
    let line = within("a line", lines.recv()).await.expect("a line, not the end").unwrap();
    assert_eq!(line.text, format!("line {}", line.seq));
    line.seq
}

/// Until the end exactly these lines come.
async fn check(mut lines: Lines, expected: std::ops::Range<u64>) {
    for wanted in expected {
        assert_eq!(next(&mut lines).await, wanted);
    }
    assert_eq!(within("the end", lines.recv()).await, None);
}

async fn end(bus: &Bus, entry: &QueueEntry, log_lines: u64) {
    bus.append(&event(entry, completed(log_lines)), 0, None).await.unwrap();
}

struct Scene {
    bus: Bus,
    client: Client,
    entry: QueueEntry,
    id: String,
    _ceo: Ceo,
    _server: Server,
}

async fn scene() -> Scene {
    let server = Server::start().await;
    let (bus, entry) = (server.bus().await, entry(5));
    let ceo = Ceo::start(&bus, &entry).await;
    let client = Client::new(server.bus().await);
    let id = entry.task.id.to_string();
    Scene { bus, client, entry, id, _ceo: ceo, _server: server }
}

#[tokio::test]
async fn live_lines_come_as_they_are_written() {
    let Scene { bus, client, entry, id, .. } = &scene().await;
    let mut lines = client.follow_log(id, 1).await.unwrap();
    let mut log = bus.log_writer(&entry.task.department, entry.task.id, 1, Some(0)).await.unwrap();
    for n in 1..=20 {
        log.write(crate::logs::lines(n..n + 1), jiff::Timestamp::now()).await;
        assert_eq!(next(&mut lines).await, n);
    }
    log.finish().await;
    end(bus, entry, 20).await;
    assert_eq!(within("the end", lines.recv()).await, None);
}

#[tokio::test]
async fn from_the_middle_and_over_attempts() {
    let Scene { bus, client, entry, id, .. } = &scene().await;
    write(bus, entry, 1, (1, 101), 10).await;
    let lines = client.follow_log(id, 55).await.unwrap();
    write(bus, entry, 2, (101, 201), 7).await;
    end(bus, entry, 200).await;
    check(lines, 55..201).await;
}

#[tokio::test]
async fn after_the_end_it_is_read_and_ends_too() {
    let Scene { bus, client, entry, id, .. } = &scene().await;
    write(bus, entry, 1, (1, 1501), 10).await;
    end(bus, entry, 1500).await;
    check(client.follow_log(id, 0).await.unwrap(), 1..1501).await;
    check(client.follow_log(id, 1500).await.unwrap(), 1500..1501).await;
    check(client.follow_log(id, 1501).await.unwrap(), 1..1).await;
}

#[tokio::test]
async fn a_task_that_ends_without_a_line_ends_its_followers() {
    let Scene { bus, client, entry, id, .. } = &scene().await;
    let lines = client.follow_log(id, 1).await.unwrap();
    end(bus, entry, 0).await;
    check(lines, 1..1).await;
}

/// More chunks than the subscription and the channel hold are written while the reader sleeps: NATS drops the rest.
#[tokio::test]
async fn what_was_dropped_on_the_way_is_read_again() {
    let Scene { bus, client, entry, id, .. } = &scene().await;
    let mut lines = client.follow_log(id, 1).await.unwrap();
    write(bus, entry, 1, (1, 10), 1).await;
    assert_eq!(next(&mut lines).await, 1);
    write(bus, entry, 2, (10, 50_001), 2).await;
    end(bus, entry, 50_000).await;
    check(lines, 2..50_001).await;
}
