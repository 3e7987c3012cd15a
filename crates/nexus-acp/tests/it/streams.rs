//! What a conversation does with its two streams, whatever the agent does with them.

use std::time::Duration;

use nexus_agents::Reader;
use nexus_core::run::{Ending, Said, TroubleKind};
use serde_json::json;

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

#[tokio::test]
async fn pieces_of_a_line_are_one_message() {
    let mut agent = Agent::new(brief(), None, 1024);
    let id = agent.read().await["id"].clone();
    let hello = json!({"jsonrpc": "2.0", "id": id, "result": {"protocolVersion": 1}}).to_string();
    for (at, byte) in hello.bytes().enumerate() {
        agent.conversation.piece(&[byte], at + 1 < hello.len(), &mut agent.said);
    }
    assert_eq!(agent.read().await["method"], "session/new");
    // One with its end in a piece of its own.
    let session = json!({"jsonrpc": "2.0", "id": 2, "result": {"sessionId": "s"}}).to_string();
    agent.conversation.piece(session.as_bytes(), true, &mut agent.said);
    agent.conversation.piece(b"", false, &mut agent.said);
    assert_eq!(agent.read().await["method"], "session/prompt");
}

#[tokio::test]
async fn a_line_without_an_end_is_not_kept() {
    let mut agent = Agent::prompted(brief(), None).await;
    for _ in 0..40 {
        agent.conversation.piece(&[b'x'; 1 << 20], true, &mut agent.said);
    }
    assert_eq!(trouble(&agent), TroubleKind::Protocol);
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
    let (mut conversation, _questions) = nexus_acp::Conversation::open(writer, brief(), None);
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

/// A conversation that is dropped lets go of the agent's input.
#[tokio::test]
async fn nothing_is_left_of_one_that_is_dropped() {
    let mut agent = Agent::new(brief(), None, 1024);
    agent.read().await;
    let Agent { conversation, .. } = &agent;
    let weak = conversation.clone();
    drop(weak);
    let (writer, mut input) = tokio::io::duplex(1024);
    let dir = tempfile::tempdir().unwrap();
    let files = crate::files::of(dir.path());
    drop(nexus_acp::Conversation::open(writer, brief(), Some(files)));
    let mut text = String::new();
    soon(tokio::io::AsyncReadExt::read_to_string(&mut input, &mut text)).await.unwrap();
    assert!(text.contains("initialize"));
}
