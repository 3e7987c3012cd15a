//! A company that stops gives what runs its grace, loses nothing, and goes on where it was.

use std::time::Duration;

use nexus_core::refusal::RefusalKind;
use nexus_core::view::Status;

use crate::company::{company, department};
use crate::support::{Gate, Server, UNLESS_GO, go, is_alive, within};

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_past_the_grace_is_requeued_and_done_by_the_next_company() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(1))])).await;
    let (running, waiting) = (office.submit("qa", UNLESS_GO).await, office.submit("qa", "true").await);
    let pid = office.pid(running).await;
    office.runtime.stop(Duration::from_millis(200));
    within("the end", office.runtime.ended()).await.unwrap();
    assert!(!is_alive(pid));
    let refusal = office.client.submit(&office.work("qa", "true")).await.unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Unreachable);
    drop(office);
    go(&server);
    let office = server.open(company([("qa", department(1))])).await;
    office.completed(running, (1, 1)).await;
    office.completed(waiting, (1, 0)).await;
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_within_the_grace_is_completed() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(1))])).await;
    let gate = Gate::new(server.dir.path());
    let running = office.submit("qa", &gate.command()).await;
    let waiting = office.submit("qa", "true").await;
    office.pid(running).await;
    office.runtime.stop(Duration::from_secs(1000));
    gate.open().await;
    within("the end", office.runtime.ended()).await.unwrap();
    drop(office);
    let office = server.open(company([("product", department(1))])).await;
    let view = office.completed(running, (1, 0)).await;
    assert_eq!(view.result.unwrap().output, "opened\n");
    assert_eq!(office.status(waiting).await.task.status, Status::Queued, "nothing more was taken");
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hurry_cuts_the_grace_short() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(2))])).await;
    let running = office.submit("qa", UNLESS_GO).await;
    let pid = office.pid(running).await;
    office.runtime.stop(Duration::from_secs(1000));
    office.runtime.hurry();
    within("the end", office.runtime.ended()).await.unwrap();
    assert!(!is_alive(pid));
    let last = office.bus.last_event(running).await.unwrap().unwrap();
    assert_eq!(last.event.what.name(), "interrupted");
}
