//! A lease is kept while the broker can be reached, and its agent dies before it can lapse when not.

use std::time::{Duration, Instant};

use nexus_bus::Access;
use nexus_core::event::What;

use crate::company::{company, department};
use crate::proxy::Proxy;
use crate::support::{Server, eventually, is_alive};
use crate::wire::Wire;

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_takes_longer_than_its_lease_keeps_it() {
    let server = Server::start().await;
    let office = server.open_with(company([("qa", department(1))]), Duration::from_secs(1), &server.access).await;
    let task = office.submit("qa", "sleep 3").await;
    let view = office.completed(task, (1, 0)).await;
    assert!(view.result.unwrap().duration_ms >= 3000);
    office.stop().await;
}

/// Seconds since the machine started, as the agent wrote them: `<word> <seconds>` a line.
fn marks(text: &str, word: &str) -> Vec<f64> {
    let mark = |line: &str| line.strip_prefix(word)?.split_whitespace().next()?.parse().ok();
    text.lines().filter_map(mark).collect()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_lease_cannot_be_renewed_dies_before_another_one_starts() {
    let lease = Duration::from_secs(3);
    let server = Server::start().await;
    let proxy = Proxy::start(server.broker.port()).await;
    let access = Access { url: format!("nats://{}", proxy.addr), ..server.access.clone() };
    let office = server.open_with(company([("qa", department(1))]), lease, &access).await;
    // The first attempt says that it lives until it is killed; the second one ends by itself.
    let command = "[ -e marks ] && { echo second $(cat /proc/uptime) >> marks; exit 0; }; \
                   while :; do read up rest < /proc/uptime; echo first $up >> marks; sleep 0.01; done";
    let task = office.submit("qa", command).await;
    let pid = office.pid(task).await;
    let cut = Instant::now();
    proxy.cut(true);
    eventually("the end of the agent", async || (!is_alive(pid)).then_some(())).await;
    assert!(cut.elapsed() < lease, "it died after {:?}", cut.elapsed());
    proxy.cut(false);
    office.completed(task, (1, 1)).await;
    let text = std::fs::read_to_string(server.dir.path().join("marks")).unwrap();
    let (first, second) = (marks(&text, "first "), marks(&text, "second "));
    assert_eq!(second.len(), 1, "it ran once more");
    assert!(first.last().unwrap() < &second[0], "never two at a time");
    office.stop().await;
}

/// The broker may bring a task again although its worker lives, such as when a renewal is late: that worker goes on.
#[tokio::test(flavor = "multi_thread")]
async fn what_this_node_has_in_hand_is_not_started_a_second_time() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(2))])).await;
    let task = office.submit("qa", "echo x >> runs; until [ -e enough ]; do sleep 0.05; done").await;
    office.pid(task).await;
    let last = server.bus().await.last_event(task).await.unwrap().unwrap();
    let What::Started { delivery, .. } = last.event.what else { panic!("{last:?}") };
    Wire::open(&server).await.publish(&delivery, &[], "-NAK").await;
    // Behind what is delivered again, and so done after that was looked at.
    let next = office.submit("qa", "true").await;
    office.completed(next, (1, 0)).await;
    std::fs::write(server.dir.path().join("enough"), "").unwrap();
    office.completed(task, (1, 0)).await;
    assert_eq!(std::fs::read_to_string(server.dir.path().join("runs")).unwrap(), "x\n");
    office.stop().await;
}

/// Whoever was wrong: what others have put back is not worked on beside them.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_somebody_else_has_put_back_is_ended_and_done_once_more() {
    let server = Server::start().await;
    let office = server.open_with(company([("qa", department(1))]), Duration::from_secs(1), &server.access).await;
    let task = office.submit("qa", crate::support::UNLESS_GO).await;
    let pid = office.pid(task).await;
    let last = office.bus.last_event(task).await.unwrap().unwrap();
    crate::support::go(&server);
    office.bus.requeue_orphan(&last, "taken for dead", jiff::Timestamp::now()).await.unwrap().unwrap();
    office.completed(task, (1, 1)).await;
    assert!(!is_alive(pid));
    office.stop().await;
}
