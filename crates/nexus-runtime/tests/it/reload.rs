//! The configuration changes while the company works: running work is finished, nothing is lost.

use nexus_core::api::DepartmentState;
use nexus_core::id::TaskId;
use nexus_core::refusal::RefusalKind;
use nexus_core::view::Status;

use crate::company::{company, department};
use crate::support::{Gate, Office, Server, eventually};

async fn state(office: &Office, name: &str) -> Option<DepartmentState> {
    let departments = office.client.departments().await.unwrap().departments;
    departments.into_iter().find(|department| department.name.as_str() == name).map(|department| department.state)
}

async fn workers(office: &Office) -> usize {
    office.client.workers().await.unwrap().workers.len()
}

/// Two tasks of `qa` that run at the same time, until their gates are opened: there are two workers.
async fn two_at_work(server: &Server, office: &Office) -> ([Gate; 2], [TaskId; 2]) {
    let gates = [Gate::new(server.dir.path()), Gate::new(server.dir.path())];
    let tasks = [office.submit("qa", &gates[0].command()).await, office.submit("qa", &gates[1].command()).await];
    for task in tasks {
        office.pid(task).await;
    }
    (gates, tasks)
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_workers_finish_what_they_have_and_more_start_at_once() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(2))])).await;
    let (gates, tasks) = two_at_work(&server, &office).await;
    office.runtime.reload(company([("qa", department(1))]));
    let third = office.submit("qa", "true").await;
    for (gate, task) in gates.iter().zip(&tasks) {
        gate.open().await;
        office.completed(*task, (1, 0)).await;
    }
    office.completed(third, (1, 0)).await;
    eventually("one worker", async || (workers(&office).await == 1).then_some(())).await;
    office.runtime.reload(company([("qa", department(3))]));
    eventually("three workers", async || (workers(&office).await == 3).then_some(())).await;
    office.stop().await;
}

/// Fewer, and as many again before the one that is too many has ended: it leaves all the same, and is replaced.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_told_to_leave_and_is_wanted_again_is_replaced() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(2))])).await;
    for _ in 0..2 {
        let (gates, tasks) = two_at_work(&server, &office).await;
        office.runtime.reload(company([("qa", department(1))]));
        office.runtime.reload(company([("qa", department(2))]));
        for (gate, task) in gates.iter().zip(&tasks) {
            gate.open().await;
            office.completed(*task, (1, 0)).await;
        }
    }
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_department_that_is_removed_finishes_and_leaves_and_its_tasks_wait_for_it() {
    let server = Server::start().await;
    let without = || company([("product", department(1))]);
    let with = || company([("product", department(1)), ("qa", department(1))]);
    let office = server.open(with()).await;
    let gate = Gate::new(server.dir.path());
    let running = office.submit("qa", &gate.command()).await;
    office.pid(running).await;
    let waiting = office.submit("qa", "true").await;
    office.runtime.reload(without());
    assert_eq!(state(&office, "qa").await, Some(DepartmentState::Leaving));
    let refusal = office.client.submit(&office.work("qa", "true")).await.unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::UnknownDepartment);
    gate.open().await;
    office.completed(running, (1, 0)).await;
    let is_gone = async || (state(&office, "qa").await == Some(DepartmentState::Gone)).then_some(());
    eventually("its leaving", is_gone).await;
    assert_eq!(office.status(waiting).await.task.status, Status::Queued);
    office.runtime.reload(with());
    office.completed(waiting, (1, 0)).await;
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_department_that_comes_back_while_it_leaves_works_on() {
    let server = Server::start().await;
    let with = |workers| company([("product", department(1)), ("qa", department(workers))]);
    let office = server.open(with(1)).await;
    let gate = Gate::new(server.dir.path());
    let running = office.submit("qa", &gate.command()).await;
    office.pid(running).await;
    office.runtime.reload(company([("product", department(1))]));
    office.runtime.reload(with(2));
    let waiting = office.submit("qa", "true").await;
    gate.open().await;
    office.completed(running, (1, 0)).await;
    office.completed(waiting, (1, 0)).await;
    assert_eq!(state(&office, "qa").await, Some(DepartmentState::Running));
    assert_eq!(workers(&office).await, 3);
    office.stop().await;
}
