//! A queue that somebody has deleted: it is made anew, and nothing that waits there is lost.

use crate::company::{company, department};
use crate::support::{Gate, Server};
use crate::wire::Wire;

#[tokio::test(flavor = "multi_thread")]
async fn the_next_task_runs() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(1))])).await;
    let mut wire = Wire::open(&server).await;
    let first = office.submit("qa", "true").await;
    office.completed(first, (1, 0)).await;
    let deleted = wire.request("$JS.API.CONSUMER.DELETE.NEXUS_TASKS.qa-5").await;
    assert_eq!(deleted["success"], true, "{deleted:#}");
    let next = office.submit("qa", "true").await;
    office.completed(next, (1, 0)).await;
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_and_what_waits_is_done_once() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(1))])).await;
    let mut wire = Wire::open(&server).await;
    let gate = Gate::new(server.dir.path());
    let running = office.submit("qa", &gate.command()).await;
    office.pid(running).await;
    let waiting = office.submit("qa", "true").await;
    let deleted = wire.request("$JS.API.CONSUMER.DELETE.NEXUS_TASKS.qa-5").await;
    assert_eq!(deleted["success"], true, "{deleted:#}");
    gate.open().await;
    office.completed(running, (1, 0)).await;
    office.completed(waiting, (1, 0)).await;
    office.stop().await;
}
