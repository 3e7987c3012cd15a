//! The most urgent first, but nothing starves.

use nexus_core::task::Submission;

use crate::company::{company, department};
use crate::support::{Gate, Office, Server};

async fn submit(office: &Office, priority: u64) -> nexus_core::id::TaskId {
    let priority = nexus_core::id::Priority::new(priority).unwrap();
    office.client.submit(&Submission { priority, ..office.work("qa", "true") }).await.unwrap().task_id
}

#[tokio::test(flavor = "multi_thread")]
async fn urgent_work_comes_first_and_does_not_starve_the_rest() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(1))])).await;
    let gate = Gate::new(server.dir.path());
    let first = office.submit("qa", &gate.command()).await;
    office.pid(first).await;
    let low = submit(&office, 0).await;
    let mut urgent = Vec::new();
    for _ in 0..100 {
        urgent.push(submit(&office, 9).await);
    }
    gate.open().await;
    let started = office.completed(low, (1, 0)).await.started_at.unwrap();
    let mut before = 0;
    for task in urgent {
        before += u32::from(office.completed(task, (1, 0)).await.started_at.unwrap() < started);
    }
    // One pull in eight goes lower, to each of the priorities that may hold work in turn.
    assert!(before <= 80, "{before} urgent ones came first");
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_waits_the_most_urgent_starts_first() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(1))])).await;
    let gate = Gate::new(server.dir.path());
    let first = office.submit("qa", &gate.command()).await;
    office.pid(first).await;
    let (low, high) = (submit(&office, 4).await, submit(&office, 6).await);
    gate.open().await;
    let low = office.completed(low, (1, 0)).await.started_at;
    let high = office.completed(high, (1, 0)).await.started_at;
    assert!(high < low, "{high:?} {low:?}");
    office.stop().await;
}
