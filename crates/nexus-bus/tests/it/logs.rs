//! A task's log: numbered over its attempts, read by pages from any line on.

use std::time::Duration;

use jiff::Timestamp;
use nexus_bus::{Bus, Client, LogPage, StreamOptions};
use nexus_core::log::{ChunkLine, Stream};
use nexus_core::task::QueueEntry;
use nexus_core::view::{Status, TaskView};

use crate::support::{Ceo, Server, entry, within};

pub(crate) fn lines(range: std::ops::Range<u64>) -> Vec<ChunkLine> {
    range.map(|n| ChunkLine { stream: Stream::Stdout, text: format!("line {n}") }).collect()
}

/// Writes lines from `first` to before `end`, `chunk` at a time, as one attempt.
pub(crate) async fn write(bus: &Bus, entry: &QueueEntry, attempt: u32, (first, end): (u64, u64), chunk: u64) -> u64 {
    let resumed = attempt > 1;
    let mut log =
        bus.log_writer(&entry.task.department, entry.task.id, attempt, (!resumed).then_some(0)).await.unwrap();
    assert_eq!(log.lines() + 1, first, "it goes on where the last attempt ended");
    let mut next = first;
    while next < end {
        let upto = end.min(next + chunk);
        log.write(lines(next..upto), Timestamp::now()).await;
        next = upto;
    }
    log.finish().await;
    log.lines()
}

fn check(page: &LogPage, expected: std::ops::Range<u64>, complete: bool) {
    let seqs: Vec<_> = page.lines.iter().map(|line| line.seq).collect();
    assert_eq!(seqs, expected.clone().collect::<Vec<_>>());
    assert!(page.lines.iter().all(|line| line.text == format!("line {}", line.seq)));
    assert_eq!((page.next, page.complete), (expected.end, complete));
}

fn ended(view: &mut TaskView, log_lines: u64) {
    view.status = Status::Completed;
    view.result = Some(nexus_core::event::Outcome { log_lines, ..Default::default() });
}

#[tokio::test]
async fn lines_are_numbered_over_attempts_and_read_by_pages() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    let ceo = Ceo::start(&bus, &entry).await;
    let client = Client::new(bus.clone());
    let id = entry.task.id.to_string();
    check(&client.log(&id, 0, 10).await.unwrap(), 1..1, false);
    assert_eq!(write(&bus, &entry, 1, (1, 1001), 100).await, 1000);
    assert_eq!(write(&bus, &entry, 2, (1001, 2501), 64).await, 2500);
    check(&client.log(&id, 1, 5000).await.unwrap(), 1..2501, false);
    // In the middle of a chunk, across chunks and attempts, and the same page once more.
    for _ in 0..2 {
        check(&client.log(&id, 951, 100).await.unwrap(), 951..1051, false);
        check(&client.log(&id, 50, 3).await.unwrap(), 50..53, false);
    }
    check(&client.log(&id, 2501, 10).await.unwrap(), 2501..2501, false);
    ceo.change(|view| ended(view, 2500));
    let mut from = 1;
    while from <= 2500 {
        let page = client.log(&id, from, 333).await.unwrap();
        let end = (from + 333).min(2501);
        check(&page, from..end, end == 2501);
        from = page.next;
    }
    check(&client.log(&id, 2501, 10).await.unwrap(), 2501..2501, true);
}

#[tokio::test]
async fn a_long_log_of_single_lines_comes_whole() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    let ceo = Ceo::start(&bus, &entry).await;
    write(&bus, &entry, 1, (1, 3001), 1).await;
    ceo.change(|view| ended(view, 3000));
    let client = Client::new(bus);
    check(&client.log(&entry.task.id.to_string(), 1, 10_000).await.unwrap(), 1..3001, true);
    check(&client.log(&entry.task.id.to_string(), 2990, 10).await.unwrap(), 2990..3000, false);
}

#[tokio::test]
async fn a_task_that_ended_without_a_line_has_a_complete_log() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    let ceo = Ceo::start(&bus, &entry).await;
    ceo.change(|view| ended(view, 0));
    check(&Client::new(bus).log(&entry.task.id.to_string(), 1, 10).await.unwrap(), 1..1, true);
}

#[tokio::test]
async fn they_can_be_kept_more_shortly_than_before() {
    let server = Server::start().await;
    let bus = server.bus().await;
    for retention in [Duration::from_secs(3600), Duration::from_secs(2)] {
        let options = StreamOptions { retention, ..StreamOptions::default() };
        within("the streams", bus.prepare(&options)).await.unwrap();
    }
}
