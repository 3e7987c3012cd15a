//! A conversation and its two streams, whatever the agent does with them.

use std::sync::Arc;
use std::time::Duration;

use nexus_acp::Conversation;
use nexus_agents::Reader;
use nexus_core::run::{Ending, Said, TroubleKind};
use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::agent::{Agent, brief, soon};

fn trouble(agent: &Agent) -> TroubleKind {
    match agent.ending() {
        Some(Ending::Failed(trouble)) => trouble.kind,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_prompt_is_done_and_the_input_ends() {
    let mut agent = Agent::prompted(brief(), None).await;
    let text = json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "done"}});
    agent.say(json!({"method": "session/update", "params": {"sessionId": "s", "update": text}}));
    assert!(!agent.conversation.is_over());
    agent.stop("end_turn");
    agent.ends().await;
    assert_eq!(agent.ending(), Some(Ending::Done));
    assert!(agent.said.contains(&Said::Text("done".to_owned())));
    // Whatever it says then.
    agent.line(b"goodbye");
    agent.say(json!({"id": 77, "method": "x", "params": {}}));
    agent.conversation.finish(None, &mut agent.said);
    assert_eq!(agent.ending(), Some(Ending::Done));
}

#[tokio::test(start_paused = true)]
async fn a_silent_agent_is_waited_for_until_it_is_cancelled() {
    let mut agent = Agent::new(brief(), None, 1024);
    assert_eq!(agent.read().await["method"], "initialize");
    let late = tokio::time::timeout(Duration::from_secs(86_400), agent.conversation.late()).await;
    assert!(late.is_err(), "{late:?}");
    agent.conversation.cancel();
    agent.ends().await;
    assert_eq!(agent.said, []);
}

#[tokio::test]
async fn a_cancelled_prompt_ends_the_input_when_it_has_stopped() {
    let mut agent = Agent::prompted(brief(), None).await;
    agent.conversation.cancel();
    assert_eq!(agent.read().await["method"], "session/cancel");
    assert!(!agent.conversation.is_over());
    agent.stop("cancelled");
    agent.ends().await;
    assert_eq!(agent.ending(), None);
}

#[tokio::test]
async fn one_that_is_gone_has_not_done_it() {
    let mut agent = Agent::prompted(brief(), None).await;
    let mut conversation = agent.conversation.clone();
    conversation.error_line(b"thread 'main' panicked", &mut agent.said);
    conversation.finish(None, &mut agent.said);
    assert_eq!(trouble(&agent), TroubleKind::Crash);
    agent.ends().await;
}

/// It asks and asks, and never reads an answer.
#[tokio::test]
async fn a_deaf_agent_is_given_up() {
    let mut agent = Agent::new(brief(), None, 256);
    agent.read().await;
    agent.say(json!({"id": 1, "result": {"protocolVersion": 1}}));
    for id in 0..100_000 {
        agent.ask(id, "_x/ask", json!({}));
        if agent.conversation.is_over() {
            break;
        }
    }
    assert_eq!(trouble(&agent), TroubleKind::Protocol);
}

#[tokio::test]
async fn a_writer_that_fails_is_no_end() {
    let (writer, input) = tokio::io::duplex(64);
    drop(input);
    let mut conversation = Conversation::new(brief(), None);
    conversation.connect(writer);
    let mut said = Vec::new();
    for id in 0..10_000 {
        let ask = json!({"jsonrpc": "2.0", "id": id + 100, "method": "x"}).to_string();
        conversation.line(ask.as_bytes(), &mut said);
        tokio::task::yield_now().await;
    }
    assert_eq!(said, []);
    conversation.finish(None, &mut said);
    assert!(matches!(&said[..], [Said::Ended(Ending::Failed(trouble))] if trouble.kind == TroubleKind::Crash));
}

/// A conversation that is dropped lets go of the agent's input, and of the files.
#[tokio::test]
async fn nothing_is_left_of_one_that_is_dropped() {
    let (writer, mut input) = tokio::io::duplex(1024);
    let dir = tempfile::tempdir().unwrap();
    let files = crate::files::of(dir.path());
    let conversation = Conversation::new(brief(), Some(Arc::clone(&files)));
    conversation.connect(writer);
    drop(conversation);
    let mut text = String::new();
    soon(input.read_to_string(&mut text)).await.unwrap();
    assert!(text.contains("initialize"));
    soon(async {
        while Arc::strong_count(&files) > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
