//! A client outside of a company is told soon that the company is gone, and not that it is slow.

use std::time::Duration;

use nexus_bus::Client;
use nexus_core::refusal::RefusalKind;
use nexus_core::task::Submission;
use tokio::time::Instant;

use crate::support::{Ceo, Server, entry, eventually, within};

/// Shorter than the wait for an answer, which a slow company gets.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_call_to_a_company_that_is_gone_is_refused_soon_and_asks_nothing() {
    let server = Server::start().await;
    let client = Client::new(server.bus().await).gone_after(Duration::from_millis(200));
    within("the server's end", server.broker.stop()).await;
    eventually("a lost connection", async || (!client.is_connected()).then_some(())).await;
    let began = Instant::now();
    for refusal in [
        client.status("abcd").await.unwrap_err(),
        client.submit(&Submission::new("x")).await.unwrap_err(),
        client.departments().await.unwrap_err(),
    ] {
        assert_eq!(refusal.kind, RefusalKind::Unreachable);
        assert!(refusal.message.contains("the company is gone"), "{refusal}");
    }
    assert!(began.elapsed() < SOON);
}

#[tokio::test]
async fn a_call_under_way_ends_with_the_connection() {
    let server = Server::start().await;
    let bus = server.bus().await;
    // It hears the question, and never answers.
    let (_service, mut asks) = bus.serve_ceo("0.0.0").await.unwrap();
    bus.flush().await;
    let client = Client::new(server.bus().await).gone_after(Duration::from_millis(200));
    let stopped = async {
        let ask = within("a question", asks.recv()).await.unwrap();
        within("the server's end", server.broker.stop()).await;
        ask
    };
    let began = Instant::now();
    let submission = Submission::new("x");
    let (refused, _ask) = tokio::join!(client.submit(&submission), stopped);
    let refusal = refused.unwrap_err();
    assert!(refusal.message.contains("has gone before it answered"), "{refusal}");
    assert!(refusal.help.unwrap().contains("it may have taken the task all the same"));
    assert!(began.elapsed() < SOON);
}

#[tokio::test]
async fn a_server_that_comes_back_in_time_is_waited_for() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    let _ceo = Ceo::start(&bus, &entry).await;
    let client = Client::new(server.bus().await).gone_after(SOON);
    server.crash().await;
    let task = entry.task.id.to_string();
    // Its service is subscribed again when the company's own connection is back.
    eventually("an answer", async || client.status(&task).await.ok()).await;
}
