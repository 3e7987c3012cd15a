//! A department that fails too often stays stopped, whatever is restarted, until it is given a new chance.

use nexus_core::api::{DepartmentInfo, DepartmentState};
use nexus_core::company::Company;
use nexus_core::department::Department;
use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::view::Status;

use crate::company::{at_most, company, department};
use crate::support::{Office, Server, UNLESS_GO, eventually, go};

async fn qa(office: &Office) -> DepartmentInfo {
    let departments = office.client.departments().await.unwrap().departments;
    departments.into_iter().find(|department| department.name.as_str() == "qa").unwrap()
}

async fn becomes(office: &Office, state: DepartmentState) -> DepartmentInfo {
    eventually("the state", async || Some(qa(office).await).filter(|info| info.state == state)).await
}

/// A company whose department qa fails with its first worker, and may do so as often as this.
fn fragile(max_restarts: u32, workers: u32) -> Company {
    let fragile = Department { restart: at_most(0), ..department(workers) };
    Company { restart: at_most(max_restarts), ..company([("qa", fragile), ("product", department(1))]) }
}

async fn refused(office: &Office) -> Refusal {
    office.client.submit(&office.work("qa", "true")).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_department_stays_stopped_until_it_is_resumed() {
    let server = Server::start().await;
    let office = server.open(fragile(0, 1)).await;
    let hit = office.submit("qa", UNLESS_GO).await;
    office.pid(hit).await;
    office.panic("qa", hit).await;
    let before = becomes(&office, DepartmentState::Stopped).await;
    assert_eq!(before.failures, 1);
    assert!(before.since.is_some());
    office.stop().await;
    drop(office);

    go(&server);
    let office = server.open(fragile(0, 1)).await;
    let after = qa(&office).await;
    assert_eq!((after.state, after.failures, after.since), (DepartmentState::Stopped, 1, before.since));
    assert_eq!(after.reason, before.reason);
    assert!(after.reason.unwrap().contains("worker-0"));
    let refusal = refused(&office).await;
    assert_eq!(refusal.kind, RefusalKind::Stopped);
    assert!(refusal.help.unwrap().contains("nexus resume qa"));
    // Another department's file is nothing to it, nor is its own that goes and comes back as it was.
    let mut other = fragile(0, 1);
    let file = other.departments.remove(&after.name).unwrap();
    other.default_department = "product".parse().unwrap();
    office.runtime.reload(other.clone());
    becomes(&office, DepartmentState::Gone).await;
    other.departments.insert(after.name.clone(), file);
    office.runtime.reload(other);
    becomes(&office, DepartmentState::Stopped).await;
    assert_eq!(office.status(hit).await.task.status, Status::Queued);

    let resumed = office.client.resume("qa").await.unwrap();
    assert_eq!((resumed.state, resumed.failures, resumed.since), (DepartmentState::Running, 0, None));
    office.completed(hit, (1, 1)).await;
    let again = office.client.resume("qa").await.unwrap_err();
    assert_eq!(again.kind, RefusalKind::Conflict, "{again}");
    let unknown = office.client.resume("qualms").await.unwrap_err();
    assert_eq!(unknown.kind, RefusalKind::UnknownDepartment);
    office.stop().await;
    drop(office);

    let office = server.open(fragile(0, 1)).await;
    assert_eq!((qa(&office).await.state, qa(&office).await.failures), (DepartmentState::Running, 0));
    assert_eq!(office.bus.staff(&server.node).await.unwrap().len(), 1);
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_charter_is_a_new_chance_at_the_next_start() {
    let server = Server::start().await;
    let office = server.open(fragile(0, 1)).await;
    let hit = office.submit("qa", UNLESS_GO).await;
    office.pid(hit).await;
    office.panic("qa", hit).await;
    becomes(&office, DepartmentState::Stopped).await;
    office.stop().await;
    drop(office);
    go(&server);
    let office = server.open(fragile(0, 2)).await;
    assert_eq!((qa(&office).await.state, qa(&office).await.failures), (DepartmentState::Running, 0));
    office.completed(hit, (1, 1)).await;
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_before_a_restart_count_on() {
    let server = Server::start().await;
    let office = server.open(fragile(1, 1)).await;
    let hit = office.submit("qa", UNLESS_GO).await;
    let pid = office.pid(hit).await;
    office.panic("qa", hit).await;
    office.other_pid(hit, pid).await;
    assert_eq!((qa(&office).await.state, qa(&office).await.failures), (DepartmentState::Running, 1));
    office.stop().await;
    drop(office);
    let office = server.open(fragile(1, 1)).await;
    office.pid(hit).await;
    assert_eq!((qa(&office).await.state, qa(&office).await.failures), (DepartmentState::Running, 1));
    office.panic("qa", hit).await;
    let stopped = becomes(&office, DepartmentState::Stopped).await;
    assert_eq!(stopped.failures, 2);
    // One message of a department at a time.
    eventually("the record", async || {
        let records = office.bus.staff(&server.node).await.unwrap();
        records.iter().any(|record| record.stopped.is_some() && record.total == 2).then_some(())
    })
    .await;
    office.stop().await;
}
