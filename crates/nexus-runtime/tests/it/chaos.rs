//! Workers that panic, a broker that is killed, cancels: all at once, and still everything is done once.
#![cfg(target_os = "linux")]

use std::time::Duration;

use nexus_core::api::CancelRequest;
use nexus_core::department::Department;
use nexus_core::view::Status;

use crate::company::{at_most, company, department};
use crate::support::{Server, eventually, within};

const TASKS: usize = 60;

/// Takes a lock that only the death of its whole tree gives back, and says so when somebody else has it.
const ALONE: &str = "exec 9> lock-$NEXUS_TASK_ID; flock -n 9 || echo $NEXUS_TASK_ID >> overlaps; sleep 0.2; echo done";

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_each_task_ends_once_and_never_runs_twice_at_a_time() {
    let server = Server::start().await;
    let lively = Department { restart: at_most(1000), ..department(4) };
    let office = server.open_with(company([("qa", lively)]), Duration::from_secs(10), &server.access).await;
    let mut tasks = Vec::new();
    for _ in 0..TASKS {
        tasks.push(office.submit("qa", ALONE).await);
    }
    let (mut cancelled, mut panics) = (Vec::new(), 0);
    while panics < 12 {
        let running = async || {
            let workers = office.client.workers().await.ok()?.workers;
            let running: Vec<_> = workers.into_iter().filter_map(|worker| worker.current_task).collect();
            fastrand::choice(running)
        };
        let victim = eventually("a task that runs", running).await;
        office.panic("qa", victim).await;
        panics += 1;
        if panics % 4 == 0 {
            let task = tasks[fastrand::usize(..TASKS)];
            let request = CancelRequest { task_id: task.to_string(), reason: None };
            if within("a cancel", office.client.cancel(&request)).await.is_ok() {
                cancelled.push(task);
            }
        }
        if panics == 6 {
            let first = server.broker.pid().unwrap();
            let pid = rustix::process::Pid::from_raw(i32::try_from(first).unwrap()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            let back = |status: &nexus_broker::Status| matches!(status, nexus_broker::Status::Running { pid } if *pid != first);
            within("the broker", server.broker.status().wait_for(back)).await.unwrap();
        }
    }
    for task in tasks {
        let view = office.end(task).await;
        let expected = if cancelled.contains(&task) { Status::Cancelled } else { Status::Completed };
        assert_eq!((view.status, view.attempt <= 1), (expected, true), "{view:?}");
    }
    assert!(!server.dir.path().join("overlaps").exists(), "two processes worked on one task at a time");
    office.stop().await;
}
