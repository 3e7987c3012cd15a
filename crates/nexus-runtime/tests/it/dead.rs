//! Tasks that have failed for good end in the dead letters with their history, once; a retry brings them back.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nexus_bus::{Bus, Last, StreamOptions};
use nexus_core::api::CancelRequest;
use nexus_core::company::Company;
use nexus_core::dead::DeadTask;
use nexus_core::department::Department;
use nexus_core::event::{Event, Failure, FailureKind, Outcome, What};
use nexus_core::id::{AgentName, NodeId, TaskId, WorkerName};
use nexus_core::retry::{MAX_INTERRUPTIONS, RetryPolicy};
use nexus_core::task::QueueEntry;
use nexus_core::view::Status;
use nexus_runtime::{Runtime, RuntimeOptions};

use crate::company::{company, department};
use crate::support::{Server, UNLESS_GO, entry, eventually, go, within};
use crate::wire::Wire;

/// The dead letter of a task of `qa`, if there is one.
async fn letter(wire: &mut Wire, task: TaskId) -> Option<DeadTask> {
    let found = wire.request(&format!("$JS.API.DIRECT.GET.NEXUS_DEAD.nexus.dead.qa.{task}")).await;
    serde_json::from_value(found).unwrap()
}

/// Dead letters, and how many have ever been written.
async fn letters(wire: &mut Wire) -> (u64, u64) {
    let info = wire.request("$JS.API.STREAM.INFO.NEXUS_DEAD").await;
    let number = |name: &str| info["state"][name].as_u64().unwrap();
    (number("messages"), number("last_seq"))
}

fn names(letter: &DeadTask) -> Vec<&str> {
    letter.history.iter().map(|event| event.what.name()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_whose_attempts_are_used_up_is_there_with_all_of_them() {
    let server = Server::start().await;
    let plain = department(1);
    let twice = Department { retry: RetryPolicy { max_attempts: 2, ..plain.retry }, ..plain };
    let office = server.open(company([("qa", twice)])).await;
    let mut wire = Wire::open(&server).await;
    let task = office.submit("qa", "echo said; exit 3").await;
    let fine = office.submit("qa", "true").await;
    let cancelled = office.submit("qa", "exec sleep 1000").await;
    office.client.cancel(&CancelRequest { task_id: cancelled.to_string(), reason: None }).await.unwrap();
    assert_eq!(office.end(task).await.status, Status::Failed);
    office.completed(fine, (1, 0)).await;
    let dead = letter(&mut wire, task).await.unwrap();
    assert_eq!(names(&dead), ["started", "attempt_failed", "started", "failed"]);
    assert_eq!((dead.attempts, dead.failure.kind, dead.task.id), (2, FailureKind::Exit, task));
    let What::Failed { outcome, .. } = &dead.history[3].what else { panic!("{dead:?}") };
    assert_eq!(outcome.output, "said\n");
    assert_eq!(letters(&mut wire).await, (1, 1), "of the others there is none");
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_takes_its_worker_down_every_time_is_there_and_a_retry_counts_anew() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(1))])).await;
    let mut wire = Wire::open(&server).await;
    let poison = QueueEntry { interruptions: MAX_INTERRUPTIONS - 1, ..entry(&server, UNLESS_GO) };
    let task = poison.task.id;
    office.bus.submit(&poison).await.unwrap();
    eventually("a task that is known", async || office.client.status(&task.to_string()).await.ok()).await;
    let pid = office.pid(task).await;
    office.panic("qa", task).await;
    office.other_pid(task, pid).await;
    office.panic("qa", task).await;
    let view = office.end(task).await;
    assert_eq!((view.status, view.attempt, view.interruptions), (Status::Failed, 1, MAX_INTERRUPTIONS), "{view:?}");
    let dead = letter(&mut wire, task).await.unwrap();
    assert_eq!(names(&dead), ["started", "interrupted", "started", "failed"]);
    assert_eq!((dead.attempts, dead.failure.kind), (1, FailureKind::Interruptions));
    office.client.retry(&task.to_string()).await.unwrap();
    assert_eq!(letter(&mut wire, task).await, None);
    office.pid(task).await;
    go(&server);
    office.panic("qa", task).await;
    office.completed(task, (1, 1)).await;
    assert_eq!(letters(&mut wire).await, (0, 1));
    office.stop().await;
}

/// Puts a task on the ledger that failed at this time, as a company would that is gone right after that.
async fn fail_and_vanish(server: &Server, bus: &Bus, at: Timestamp) -> Last {
    let entry = entry(server, "false");
    bus.submit(&entry).await.unwrap();
    let started = What::Started {
        node: server.node.clone(),
        worker: WorkerName::new("worker-0").unwrap(),
        agent: AgentName::new("shell").unwrap(),
        delivery: String::new(),
    };
    let failure = Failure { kind: FailureKind::Exit, message: "exit code 1".into() };
    let event = |what| Event::new(entry.task.id, entry.task.department.clone(), 1, at, what);
    let seq = bus.append(&event(started), 0, None).await.unwrap();
    let event = event(What::Failed { failure, outcome: Outcome::default() });
    Last { seq: bus.append(&event, seq, None).await.unwrap(), event }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_that_ended_before_it_wrote_or_knew_of_the_letter_has_one_all_the_same() {
    let server = Server::start().await;
    let bus = server.bus().await;
    bus.prepare(&StreamOptions::default()).await.unwrap();
    let (now, mut wire) = (Timestamp::now(), Wire::open(&server).await);
    let unwritten = fail_and_vanish(&server, &bus, now).await;
    let written = fail_and_vanish(&server, &bus, now).await;
    assert_eq!(bus.bury_task(&written).await, Ok(true));
    let retention = SignedDuration::try_from(StreamOptions::default().retention).unwrap();
    let old = fail_and_vanish(&server, &bus, now - retention).await;
    let office = server.open(company([("qa", department(1))])).await;
    for failed in [&unwritten, &written] {
        let dead = letter(&mut wire, failed.event.task_id).await.unwrap();
        assert_eq!((names(&dead), dead.at), (vec!["started", "failed"], now));
    }
    assert_eq!(letter(&mut wire, old.event.task_id).await, None, "it would have gone again by now");
    assert_eq!(letters(&mut wire).await, (2, 2));
    // Nor does a history that is made anew write any.
    office.client.rebuild().await.unwrap();
    assert_eq!(letters(&mut wire).await, (2, 2));
    office.stop().await;
}

/// A second node on the same ledger, with a history of its own.
async fn second(server: &Server, company: Company, dir: &std::path::Path) -> Runtime {
    let options = RuntimeOptions {
        checkouts: nexus_workspace::Bounds::NONE,
        node: NodeId::new(format!("second-{}", uuid::Uuid::now_v7())).unwrap(),
        data_dir: dir.to_owned(),
        history_url: format!("sqlite:{}", dir.join("history.db").display()),
        streams: StreamOptions::default(),
        // A third of a task's, as the other node's.
        lease: Duration::from_secs(10),
        alone: false,
        guard: None,
        receptionist: None,
        version: "0.0.0".to_owned(),
        process: nexus_core::overview::ProcessInfo::default(),
        new_ledger: false,
        faults: true,
    };
    within("a company", Runtime::start(server.bus().await, company, options)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_write_one() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(2))])).await;
    let mut wire = Wire::open(&server).await;
    let fail = async || {
        let mut tasks = Vec::new();
        for _ in 0..20 {
            tasks.push(office.submit("qa", "false").await);
        }
        for task in tasks {
            assert_eq!(office.end(task).await.status, Status::Failed);
        }
    };
    fail().await;
    // One that folds what the other has folded, and then both at the same time.
    let dir = tempfile::tempdir().unwrap();
    let other = second(&server, company([("qa", department(2))]), dir.path()).await;
    assert_eq!(letters(&mut wire).await, (20, 20));
    fail().await;
    other.stop(Duration::ZERO);
    within("the end", other.ended()).await.unwrap();
    assert_eq!(letters(&mut wire).await, (40, 40));
    office.stop().await;
}

/// The broker is killed and started again while tasks fail: each has its letter, and none has two.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_waited_for() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(2))])).await;
    let mut tasks = Vec::new();
    for _ in 0..60 {
        tasks.push(office.submit("qa", "false").await);
    }
    assert_eq!(office.end(tasks[10]).await.status, Status::Failed);
    let first = server.broker.pid().unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(first).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let back = |status: &nexus_broker::Status| matches!(status, nexus_broker::Status::Running { pid } if *pid != first);
    within("the broker", server.broker.status().wait_for(back)).await.unwrap();
    eventually("an answer", async || office.client.workers().await.ok()).await;
    for task in tasks {
        assert_eq!(office.end(task).await.status, Status::Failed);
    }
    assert_eq!(letters(&mut Wire::open(&server).await).await, (60, 60));
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_somebody_has_deleted_holds_nothing_up() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(1))])).await;
    let deleted = Wire::open(&server).await.request("$JS.API.STREAM.DELETE.NEXUS_DEAD").await;
    assert_eq!(deleted["success"], true, "{deleted:#}");
    let task = office.submit("qa", "false").await;
    assert_eq!(office.end(task).await.status, Status::Failed);
    office.client.retry(&task.to_string()).await.unwrap();
    assert_eq!(office.end(task).await.status, Status::Failed);
    office.stop().await;
}
