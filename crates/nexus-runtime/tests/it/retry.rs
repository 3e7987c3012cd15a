//! Tasks that are tried again: after a failure, or because somebody asks for it.

use futures_util::StreamExt;
use jiff::{SignedDuration, Timestamp};
use nexus_core::api::CancelRequest;
use nexus_core::department::Department;
use nexus_core::id::TaskId;
use nexus_core::retry::RetryPolicy;
use nexus_core::task::Submission;
use nexus_core::view::Status;

use crate::company::{company, department};
use crate::support::{Gate, Office, Server, UNLESS_GO, eventually, go, within};

async fn cancel(office: &Office, task: TaskId) {
    office.client.cancel(&CancelRequest { task_id: task.to_string(), reason: None }).await.unwrap();
}

async fn retry(office: &Office, task: TaskId) {
    office.client.retry(&task.to_string()).await.unwrap();
}

fn tried_twice(workers: u32) -> Department {
    let plain = department(workers);
    Department { retry: RetryPolicy { max_attempts: 2, ..plain.retry }, ..plain }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_attempt_is_followed_by_the_next_one_when_it_is_due() {
    let server = Server::start().await;
    let office = server.open(company([("qa", tried_twice(1))])).await;
    let task = office.submit("qa", "echo $NEXUS_ATTEMPT; [ $NEXUS_ATTEMPT = 2 ]").await;
    let lost = office.submit("qa", "exit 3").await;
    let view = office.completed(task, (2, 0)).await;
    assert_eq!(view.result.unwrap().output, "2\n");
    let view = office.end(lost).await;
    assert_eq!((view.status, view.attempt), (Status::Failed, 2));
    office.stop().await;
}

/// The broker puts a delayed task on the queue by itself: whoever hears of it says so to the department.
#[tokio::test(flavor = "multi_thread")]
async fn a_department_is_called_when_a_delayed_task_comes_due() {
    let server = Server::start().await;
    // Not alone: where all departments live in one process, they are called there.
    let office = server.open_node(company([("qa", department(1))]), "one").await;
    let bus = server.bus().await;
    let mut calls = Box::pin(nexus_bus::Queues::wakes(&bus, &"qa".parse().unwrap()).await.unwrap());
    bus.flush().await;
    let due = Timestamp::now() + SignedDuration::from_millis(1500);
    let delayed = Submission { not_before: Some(due), ..office.work("qa", "true") };
    let task = office.client.submit(&delayed).await.unwrap().task_id;
    // One as it was asked for, at once, and one as it comes due.
    within("the first call", calls.next()).await.unwrap();
    within("the second call", calls.next()).await.unwrap();
    assert!(Timestamp::now() >= due, "called when it came due");
    office.completed(task, (1, 0)).await;
    office.stop().await;
}

/// The next attempt comes due after the cancel: it does not run.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_between_two_attempts_does_not_run_again() {
    let server = Server::start().await;
    let office = server.open(company([("qa", tried_twice(1))])).await;
    let task = office.submit("qa", "echo x >> ran; exit 1").await;
    eventually("a retry that waits", async || office.status(task).await.task.not_before).await;
    cancel(&office, task).await;
    eventually("the entry that comes due", async || {
        office.bus.last_entry(task).await.unwrap().filter(|entry| entry.attempt == 2)
    })
    .await;
    // One worker, one queue: when this has run, the entry before it has been dealt with.
    let after = office.submit("qa", "true").await;
    office.completed(after, (1, 0)).await;
    assert_eq!(office.status(task).await.task.status, Status::Cancelled);
    assert_eq!(std::fs::read_to_string(server.dir.path().join("ran")).unwrap(), "x\n");
    office.stop().await;
}

/// Nothing but its schedule holds what was asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_was_cancelled_before_it_was_due_can_be_retried_and_still_waits() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(1))])).await;
    let far = Timestamp::now() + SignedDuration::from_hours(1);
    let delayed = Submission { not_before: Some(far), ..office.work("qa", "true") };
    let task = office.client.submit(&delayed).await.unwrap().task_id;
    cancel(&office, task).await;
    let accepted = office.client.retry(&task.to_string()).await.unwrap();
    assert!(accepted.note.unwrap().contains(&format!("{far:.0}")));
    let view = office.status(task).await.task;
    assert_eq!((view.status, view.not_before), (Status::Queued, Some(far)));
    cancel(&office, task).await;
    office.stop().await;
}

/// What it asks for is published when it is due, behind its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_made_anew_knows_of_what_was_cancelled_before_it_was_due() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(1))])).await;
    let due = Timestamp::now() + SignedDuration::from_secs(1);
    let delayed = Submission { not_before: Some(due), ..office.work("qa", "echo x >> ran") };
    let task = office.client.submit(&delayed).await.unwrap().task_id;
    cancel(&office, task).await;
    let later = Submission { not_before: Some(due + SignedDuration::from_secs(1)), ..office.work("qa", "true") };
    let after = office.client.submit(&later).await.unwrap().task_id;
    office.completed(after, (1, 0)).await;
    office.client.rebuild().await.unwrap();
    assert_eq!(office.status(task).await.task.status, Status::Cancelled);
    assert_eq!(office.bus.view(task).await.unwrap().unwrap().status, Status::Cancelled);
    assert!(!server.dir.path().join("ran").exists());
    office.stop().await;
}

/// The schedule that was there first is replaced: it runs once, when it is due.
#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_task_that_was_retried_runs_once_when_it_is_due() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(1))])).await;
    let due = Timestamp::now() + SignedDuration::from_secs(3);
    let delayed = Submission { not_before: Some(due), ..office.work("qa", "echo x >> ran") };
    let task = office.client.submit(&delayed).await.unwrap().task_id;
    cancel(&office, task).await;
    retry(&office, task).await;
    let view = office.completed(task, (1, 0)).await;
    assert!(view.started_at.unwrap() >= due);
    // One worker, one queue: when this has run, every entry before it has been dealt with.
    let after = office.submit("qa", "true").await;
    office.completed(after, (1, 0)).await;
    assert_eq!(std::fs::read_to_string(server.dir.path().join("ran")).unwrap(), "x\n");
    office.stop().await;
}

/// The entry of the first submission is still in the queue when the second one is: only one of them is run.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_with_two_entries_in_the_queue_runs_once() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(2))])).await;
    let gates = [Gate::new(server.dir.path()), Gate::new(server.dir.path())];
    for gate in &gates {
        let task = office.submit("qa", &gate.command()).await;
        office.pid(task).await;
    }
    let task = office.submit("qa", UNLESS_GO).await;
    for _ in 0..3 {
        cancel(&office, task).await;
        retry(&office, task).await;
    }
    for gate in &gates {
        gate.open().await;
    }
    let pid = office.pid(task).await;
    // One worker is left for all other entries of the task; when this has run, they have been dealt with.
    let after = office.submit("qa", "true").await;
    office.completed(after, (1, 0)).await;
    assert_eq!(office.pid(task).await, pid, "it still is the one attempt");
    go(&server);
    cancel(&office, task).await;
    retry(&office, task).await;
    office.completed(task, (1, 0)).await;
    office.stop().await;
}
