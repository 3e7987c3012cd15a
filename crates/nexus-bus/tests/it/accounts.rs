//! Accounts of agents: the newest record of each, on a stream that may be older than its subject.

use std::time::Duration;

use async_nats::jetstream;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use nexus_bus::{Bus, BusError, StreamOptions};
use nexus_core::account::{AccountRecord, AccountState};
use nexus_core::id::AgentName;

use crate::support::Server;

fn limited(account: &str, until: i64) -> AccountRecord {
    let until = Timestamp::from_second(until).unwrap();
    let account = AgentName::new(account).unwrap();
    let state = AccountState::Limited { until, reason: "too many requests".to_owned() };
    AccountRecord { state, ..AccountRecord::open(account, Timestamp::UNIX_EPOCH) }
}

#[tokio::test]
async fn the_newest_record_holds_and_is_heard_of() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let first = bus.write_account(&limited("codex", 1), 0).await.unwrap();
    let refused = bus.write_account(&limited("codex", 2), 0).await;
    assert!(matches!(refused, Err(BusError::Conflict)), "{refused:?}");
    let other = bus.write_account(&limited("claude", 9), 0).await.unwrap();
    let second = bus.write_account(&limited("codex", 3), first).await.unwrap();
    let expected = [(other, limited("claude", 9)), (second, limited("codex", 3))];
    assert_eq!(bus.accounts().await.unwrap(), expected);
    assert_eq!(bus.account(&limited("codex", 0).account).await.unwrap(), Some(expected[1].clone()));
    assert_eq!(bus.account(&limited("qwen", 0).account).await.unwrap(), None);

    let mut heard = Box::pin(bus.follow_accounts().await.unwrap());
    let mut next = async || tokio::time::timeout(Duration::from_secs(10), heard.next()).await.unwrap().unwrap();
    let mut known = [next().await, next().await];
    known.sort_by_key(|(seq, _)| *seq);
    assert_eq!(known, expected);
    let third = bus.write_account(&limited("codex", 4), second).await.unwrap();
    assert_eq!(next().await, (third, limited("codex", 4)));
    let mut stream = jetstream::new(server.raw().await).get_stream("NEXUS_TASKS").await.unwrap();
    assert_eq!(stream.info().await.unwrap().state.messages, 2);
}

#[tokio::test]
async fn an_older_ledger_gets_the_subject_and_what_cannot_be_read_is_no_record() {
    let server = Server::start().await;
    let raw = server.raw().await;
    let subjects = ["nexus.queue.*.*.*", "nexus.event.*.*", "nexus.schedule.*", "nexus.staff.*.*"];
    let older = jetstream::stream::Config {
        name: "NEXUS_TASKS".to_owned(),
        subjects: subjects.map(str::to_owned).to_vec(),
        allow_direct: true,
        ..jetstream::stream::Config::default()
    };
    jetstream::new(raw.clone()).create_stream(older).await.unwrap();
    let bus = Bus::connect(&server.access, "test").await.unwrap();
    bus.prepare(&StreamOptions::default()).await.unwrap();
    let seq = bus.write_account(&limited("codex", 1), 0).await.unwrap();
    for unreadable in ["{}", r#"{"v":1000}"#] {
        raw.request("nexus.account.other", unreadable.into()).await.unwrap();
    }
    assert_eq!(bus.accounts().await.unwrap(), [(seq, limited("codex", 1))]);
    // What a newer one has written is not written over.
    let refused = bus.account(&limited("other", 0).account).await;
    assert!(matches!(refused, Err(BusError::Newer { found: 1000, .. })), "{refused:?}");
}
