//! Actors that fail are replaced, and what they had in hand is done by others.

use nexus_core::api::{DepartmentInfo, DepartmentState};
use nexus_core::company::Company;
use nexus_core::department::Department;
use nexus_core::refusal::RefusalKind;
use nexus_core::view::Status;

use crate::company::{at_most, company, department};
use crate::support::{Gate, Office, Server, UNLESS_GO, eventually, go, is_alive};

async fn info(office: &Office, name: &str) -> DepartmentInfo {
    let departments = office.client.departments().await.unwrap().departments;
    departments.into_iter().find(|department| department.name.as_str() == name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_panics_is_replaced_and_its_task_done_again() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(2))])).await;
    let gate = Gate::new(server.dir.path());
    let (hit, spared) = (office.submit("qa", UNLESS_GO).await, office.submit("qa", &gate.command()).await);
    let (pid, other) = (office.pid(hit).await, office.pid(spared).await);
    go(&server);
    office.panic("qa", hit).await;
    let view = office.completed(hit, (1, 1)).await;
    assert!(!is_alive(pid), "the first attempt's process is gone before the second begins");
    assert!(view.error.is_none(), "{view:?}");
    assert_eq!(office.pid(spared).await, other, "its neighbour works on");
    let workers = office.client.workers().await.unwrap().workers;
    assert_eq!(workers.iter().map(|worker| worker.restarts).sum::<u64>(), 1, "{workers:?}");
    gate.open().await;
    office.completed(spared, (1, 0)).await;
    assert_eq!(info(&office, "qa").await.restarts, 0);
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_department_whose_workers_fail_too_often_is_restarted() {
    let server = Server::start().await;
    let office = server.open(company([("qa", Department { restart: at_most(1), ..department(2) })])).await;
    let (hit, beside) = (office.submit("qa", UNLESS_GO).await, office.submit("qa", UNLESS_GO).await);
    let (first, other) = (office.pid(hit).await, office.pid(beside).await);
    office.panic("qa", hit).await;
    let second = office.other_pid(hit, first).await;
    go(&server);
    office.panic("qa", hit).await;
    // Both were in hand when the department failed.
    office.completed(hit, (1, 2)).await;
    office.completed(beside, (1, 1)).await;
    assert!([first, second, other].into_iter().all(|pid| !is_alive(pid)));
    let info = info(&office, "qa").await;
    assert_eq!((info.state, info.restarts, info.reason), (DepartmentState::Running, 1, None));
    assert_eq!(office.client.workers().await.unwrap().workers.len(), 2);
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_department_that_melts_down_is_stopped_and_the_others_work_on() {
    let server = Server::start().await;
    let fragile = |workers| Department { restart: at_most(0), ..department(workers) };
    let start =
        |workers| Company { restart: at_most(0), ..company([("qa", fragile(workers)), ("product", department(1))]) };
    let office = server.open(start(1)).await;
    let hit = office.submit("qa", UNLESS_GO).await;
    let pid = office.pid(hit).await;
    office.panic("qa", hit).await;
    let stopped = async || Some(info(&office, "qa").await).filter(|info| info.state == DepartmentState::Stopped);
    let stopped = eventually("a stopped department", stopped).await;
    let reason = stopped.reason.unwrap_or_default();
    assert!(reason.contains("failed too often") && reason.contains("worker-0"), "{reason}");
    let refusal = office.client.submit(&office.work("qa", "true")).await.unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Stopped, "{refusal}");
    assert!(refusal.help.is_some());
    let fine = office.submit("product", "true").await;
    office.completed(fine, (1, 0)).await;
    eventually("a task that waits", async || (office.status(hit).await.task.status == Status::Queued).then_some(()))
        .await;
    assert!(!is_alive(pid));
    // A changed file is a new chance.
    go(&server);
    office.runtime.reload(start(2));
    office.completed(hit, (1, 1)).await;
    assert_eq!(info(&office, "qa").await.state, DepartmentState::Running);
    office.stop().await;
}
