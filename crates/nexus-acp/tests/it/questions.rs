//! Permissions that a person decides on.

use std::time::Duration;

use nexus_acp::Brief;
use nexus_core::department::Approval;
use nexus_core::question::NotOpen;
use nexus_core::run::Said;
use serde_json::{Value, json};

use crate::agent::{Agent, brief, soon};

async fn asking(patience: Duration) -> Agent {
    Agent::prompted(Brief { approval: Approval::Ask, patience, ..brief() }, None).await
}

fn ask(agent: &mut Agent, id: u64) {
    let options = json!([
        {"optionId": "1", "name": "Yes", "kind": "allow_once"},
        {"optionId": "2", "name": "No", "kind": "reject_once"},
    ]);
    let tool = json!({"toolCallId": "t", "title": "make", "kind": "execute"});
    agent.ask(id, "session/request_permission", json!({"sessionId": "s", "toolCall": tool, "options": options}));
}

fn chosen(answer: &Value) -> &Value {
    &answer["result"]["outcome"]["optionId"]
}

#[tokio::test]
async fn an_answer_is_passed_on_and_said() {
    for (allow, option) in [(true, "1"), (false, "2")] {
        let mut agent = asking(Duration::from_secs(3600)).await;
        ask(&mut agent, 10);
        let [open] = &agent.conversation.questions()[..] else { panic!("one is open") };
        let (question, what) = (open.question, "make".to_owned());
        assert_eq!(open.what, what);
        let conversation = agent.conversation.clone();
        let late = tokio::spawn(async move { conversation.late().await });
        assert!(agent.conversation.answer(Some(question), allow).is_ok());
        assert!(agent.conversation.answer(Some(question), allow).is_err(), "answered twice");
        assert_eq!(chosen(&agent.read().await), option);
        assert!(soon(late).await.unwrap().contains(&Said::Asked { question: Some(question), what, allowed: allow }));
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_no_and_a_late_yes_is_for_nothing_else() {
    let mut agent = asking(Duration::from_secs(600)).await;
    ask(&mut agent, 10);
    let question = agent.conversation.questions()[0].question;
    let late = agent.conversation.late().await;
    let refused = Said::Asked { question: Some(question), what: "make".to_owned(), allowed: false };
    assert_eq!(late, [refused, Said::Turns(1)]);
    assert_eq!(chosen(&agent.read().await), "2");
    // It asks for something else by now.
    ask(&mut agent, 11);
    let open = agent.conversation.questions();
    assert_eq!(agent.conversation.answer(Some(question), true), Err(NotOpen::Other(question, open.clone())));
    assert_eq!(agent.conversation.answer(None, true), Err(NotOpen::Which(open.clone())));
    assert_eq!(agent.conversation.questions(), open);
}
