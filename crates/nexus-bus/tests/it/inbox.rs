//! Letters: kept until they are taken, brought again when they are put back, and buried with the reason.

use std::time::Duration;

use async_nats::HeaderMap;
use jiff::Timestamp;
use nexus_bus::Letters;
use nexus_core::api::DeadLetter;
use nexus_core::refusal::Refusal;

use crate::support::{Server, eventually, within};

async fn next(letters: &mut Letters) -> nexus_bus::Letter {
    within("a letter", letters.next()).await.unwrap()
}

/// Publishes a letter and waits until it is kept.
async fn post(server: &Server, payload: &'static str, headers: &[(&'static str, &str)]) {
    let mut map = HeaderMap::new();
    headers.iter().for_each(|(name, value)| map.insert(*name, *value));
    let js = async_nats::jetstream::new(server.raw().await);
    js.publish_with_headers("nexus.inbox.qa", map, payload.into()).await.unwrap().await.unwrap();
}

async fn kept(server: &Server) -> u64 {
    let js = async_nats::jetstream::new(server.raw().await);
    js.get_stream("NEXUS_INBOX").await.unwrap().cached_info().state.messages
}

#[tokio::test]
async fn a_letter_is_kept_while_nobody_reads_and_until_it_is_taken() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let trace = nexus_bus::new_traceparent();
    post(&server, "one", &[("Nats-Msg-Id", "a"), ("traceparent", &trace)]).await;
    post(&server, "one", &[("Nats-Msg-Id", "a")]).await;
    post(&server, "two", &[("ce-id", "b"), ("traceparent", "nonsense")]).await;
    assert_eq!(kept(&server).await, 2, "the same message id is kept once");
    let mut letters = bus.inbox().await.unwrap();
    let (one, two) = (next(&mut letters).await, next(&mut letters).await);
    assert_eq!((one.subject.as_str(), &one.payload[..]), ("nexus.inbox.qa", &b"one"[..]));
    assert_eq!((one.id.as_deref(), one.traceparent.as_ref()), (Some("a"), Some(&trace)));
    assert_eq!((two.id.as_deref(), two.traceparent.as_ref()), (Some("b"), None));
    one.taken().await;
    two.taken().await;
    eventually("an empty inbox", async || (kept(&server).await == 0).then_some(())).await;
}

#[tokio::test]
async fn a_letter_that_is_put_back_comes_again() {
    let server = Server::start().await;
    let bus = server.bus().await;
    post(&server, "one", &[]).await;
    let mut letters = bus.inbox().await.unwrap();
    next(&mut letters).await.put_back(Duration::from_millis(50)).await;
    let again = next(&mut letters).await;
    assert_eq!(&again.payload[..], b"one");
    // Another CEO, after this one has gone: what was not taken is still there.
    again.put_back(Duration::ZERO).await;
    drop(letters);
    let mut letters = bus.inbox().await.unwrap();
    next(&mut letters).await.taken().await;
    eventually("an empty inbox", async || (kept(&server).await == 0).then_some(())).await;
}

#[tokio::test]
async fn each_message_on_a_subject_goes_to_every_listener() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let (mut one, mut two) = (bus.listen("ci.>").await.unwrap(), server.bus().await.listen("ci.>").await.unwrap());
    let raw = server.raw().await;
    for n in 0..20 {
        raw.publish(format!("ci.build.{n}"), "x".into()).await.unwrap();
    }
    raw.flush().await.unwrap();
    // Which node acts on it is for the CEO's lease to say.
    for listener in [&mut one, &mut two] {
        for n in 0..20 {
            let letter = within("a letter", listener.next()).await.unwrap();
            assert_eq!(letter.subject, format!("ci.build.{n}"));
        }
    }
}

#[tokio::test]
async fn what_is_no_work_is_buried_with_the_reason() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let refusal = Refusal::invalid("it is not JSON").with_help("send JSON");
    let now = Timestamp::now();
    let mut payload = vec![b'x'; 100_000];
    payload[0] = 0xff;
    bus.bury("qa", "nexus.inbox.qa", &payload, refusal.clone(), now).await.unwrap();
    let stored = server.last("NEXUS_DEAD", "nexus.dead.qa.*").await;
    let letter: DeadLetter = serde_json::from_slice(&stored.payload).unwrap();
    assert_eq!((letter.subject.as_str(), letter.refusal, letter.at), ("nexus.inbox.qa", refusal, now));
    assert!(letter.payload.starts_with("\u{fffd}xxx") && letter.payload.len() < 70_000, "{}", letter.payload.len());
    assert_eq!(stored.headers.get("ce-type").map(|value| value.as_str()), Some("nexus.dead"));
}
