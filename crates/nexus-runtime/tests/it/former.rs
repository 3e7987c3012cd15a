//! A company that ended without a word: its next start puts back what it had in hand.

use std::time::Duration;

use jiff::Timestamp;
use nexus_bus::{Claim, Queues, StreamOptions};
use nexus_core::event::{Event, Hold, What};
use nexus_core::id::{AgentName, DepartmentName, Priority, TaskId, WorkerName};
use nexus_core::task::{QueueEntry, Task};
use nexus_core::view::Status;

use crate::company::{company, department};
use crate::support::Server;

/// Puts a task on the ledger and starts it, as a company would that is gone right after that.
async fn start_and_vanish(server: &Server) -> QueueEntry {
    let bus = server.bus().await;
    bus.prepare(&StreamOptions::default()).await.unwrap();
    let qa = DepartmentName::new("qa").unwrap();
    let entry = QueueEntry::first(Task {
        id: TaskId::from_uuid(uuid::Uuid::now_v7()),
        department: qa.clone(),
        description: "true".into(),
        task_type: "testing".into(),
        project_path: server.dir.path().display().to_string(),
        context: None,
        preferred_agent: None,
        priority: Priority::DEFAULT,
        timeout_seconds: None,
        max_attempts: None,
        not_before: None,
        include_uncommitted: None,
        created_at: Timestamp::now(),
        traceparent: None,
        parent: None,
    });
    bus.submit(&entry).await.unwrap();
    // A lease far longer than the test: only the start itself can bring the task back.
    let mut queues = Queues::open(bus.clone(), qa, Duration::from_secs(1000)).await.unwrap();
    let delivery = queues.pull(Priority::DEFAULT, 1).await.unwrap().remove(0);
    let holder = (server.node.clone(), WorkerName::new("worker-0").unwrap(), AgentName::new("shell").unwrap());
    drop(Claim::start(bus, &delivery, entry.clone(), 0, holder, Timestamp::now()).await.unwrap());
    entry
}

#[tokio::test(flavor = "multi_thread")]
async fn a_former_attempt_is_requeued_at_the_start() {
    let server = Server::start().await;
    let task = start_and_vanish(&server).await.task.id;
    let office = server.open(company([("qa", department(1))])).await;
    office.completed(task, (1, 1)).await;
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_was_not_carried_out_is_at_the_start() {
    let server = Server::start().await;
    let entry = start_and_vanish(&server).await;
    let (bus, id) = (server.bus().await, entry.task.id);
    let last = bus.last_event(id).await.unwrap().unwrap();
    let What::Started { node, delivery, .. } = last.event.what else { panic!("{last:?}") };
    let asked = What::CancelRequested { reason: "not needed".into(), of: Some(Hold { node, delivery }) };
    let event = Event::new(id, entry.task.department, entry.attempt, Timestamp::now(), asked);
    bus.append(&event, last.seq, None).await.unwrap();
    let office = server.open(company([("qa", department(1))])).await;
    let view = office.end(id).await;
    assert_eq!((view.status, view.error.as_deref()), (Status::Cancelled, Some("not needed")));
    office.stop().await;
}

/// Another node's task is its own: it may be alive.
#[tokio::test(flavor = "multi_thread")]
async fn the_task_of_another_node_is_left_alone() {
    let mut server = Server::start().await;
    let task = start_and_vanish(&server).await.task.id;
    server.node = nexus_core::id::NodeId::new(format!("other-{}", uuid::Uuid::now_v7())).unwrap();
    let office = server.open(company([("qa", department(1))])).await;
    let mine = office.submit("qa", "true").await;
    office.completed(mine, (1, 0)).await;
    assert_eq!(office.status(task).await.task.status, Status::Running);
    office.stop().await;
}
