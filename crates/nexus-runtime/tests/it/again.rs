//! Interrupted work is done before everything that has not begun.

use jiff::Timestamp;
use nexus_bus::{Bus, StreamOptions};
use nexus_core::event::{Event, What};
use nexus_core::id::{AgentName, Priority, TaskId, WorkerName};
use nexus_core::task::{QueueEntry, Task};

use crate::company::{company, department};
use crate::support::{Server, entry, go};
use crate::wire::Wire;

/// Prints what has run before it, once there is a file `go`.
const FIRST: &str = "[ -e go ] && exec cat ran; exec sleep 1000";
const WAITING: usize = 200;

/// Puts work on the ledger that is more urgent than [`FIRST`], and returns the last of it.
async fn others(server: &Server, bus: &Bus) -> TaskId {
    std::fs::write(server.dir.path().join("ran"), "").unwrap();
    let mut last = None;
    for _ in 0..WAITING {
        let waiting = entry(server, "echo x >> ran");
        let task = Task { priority: Priority::new(9).unwrap(), ..waiting.task };
        last = Some(task.id);
        bus.submit(&QueueEntry { task, ..waiting }).await.unwrap();
    }
    last.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_task_of_a_failed_worker_starts_before_hundreds_that_wait() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(1))])).await;
    let hit = office.submit("qa", FIRST).await;
    office.pid(hit).await;
    let last = others(&server, &office.bus).await;
    go(&server);
    office.panic("qa", hit).await;
    let before = office.completed(hit, (1, 1)).await.result.unwrap().output.lines().count();
    // The worker's successor doesn't stand idle while what its predecessor had in hand is being ended.
    assert!(before < WAITING / 10, "{before} ran before it");
    office.completed(last, (1, 0)).await;
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_task_of_a_company_that_vanished_starts_before_hundreds_that_wait() {
    let server = Server::start().await;
    let hit = entry(&server, FIRST);
    let bus = started(&server, &hit).await.0;
    let last = others(&server, &bus).await;
    go(&server);
    let office = server.open(company([("qa", department(1))])).await;
    assert_eq!(office.completed(hit.task.id, (1, 1)).await.result.unwrap().output, "");
    office.completed(last, (1, 0)).await;
    office.stop().await;
}

/// As every entry did once: what such a ledger holds is done all the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_interrupted_and_waits_at_its_priority_is_done_too() {
    let server = Server::start().await;
    let hit = entry(&server, "true");
    let (bus, seq) = started(&server, &hit).await;
    bus.append(&event(&hit, What::Interrupted { reason: "a test".into(), run: None }), seq, None).await.unwrap();
    let next = serde_json::to_string(&nexus_core::revival::again(&hit, Timestamp::now())).unwrap();
    let subject = format!("nexus.queue.qa.{}.{}", hit.task.priority, hit.task.id);
    Wire::open(&server).await.publish(&subject, &[], &next).await;
    let office = server.open(company([("qa", department(1))])).await;
    office.completed(hit.task.id, (1, 1)).await;
    office.stop().await;
}

/// Submits a task and starts it in the name of this server's node; returns the sequence of that too.
async fn started(server: &Server, entry: &QueueEntry) -> (Bus, u64) {
    let bus = server.bus().await;
    bus.prepare(&StreamOptions::default()).await.unwrap();
    bus.submit(entry).await.unwrap();
    let what = What::Started {
        node: server.node.clone(),
        worker: WorkerName::new("worker-0").unwrap(),
        agent: AgentName::new("shell").unwrap(),
        delivery: String::new(),
    };
    let seq = bus.append(&event(entry, what), 0, None).await.unwrap();
    (bus, seq)
}

fn event(entry: &QueueEntry, what: What) -> Event {
    Event::new(entry.task.id, entry.task.department.clone(), entry.attempt, Timestamp::now(), what)
}
