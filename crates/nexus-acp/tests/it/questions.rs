//! Permissions that a person decides on.

use std::time::Duration;

use nexus_acp::{Brief, Question};
use nexus_core::department::Approval;
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
        let question = soon(agent.questions.recv()).await.unwrap();
        assert_eq!(question, Question { id: 1, what: "make".to_owned() });
        let conversation = agent.conversation.clone();
        let late = tokio::spawn(async move { conversation.late().await });
        assert!(agent.conversation.answer(question.id, allow));
        assert!(!agent.conversation.answer(question.id, allow), "answered twice");
        assert_eq!(chosen(&agent.read().await), option);
        assert!(soon(late).await.unwrap().contains(&Said::Asked { what: "make".to_owned(), allowed: allow }));
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_no() {
    let mut agent = asking(Duration::from_secs(600)).await;
    ask(&mut agent, 10);
    let question = agent.questions.recv().await.unwrap();
    let late = agent.conversation.late().await;
    assert_eq!(late, [Said::Asked { what: "make".to_owned(), allowed: false }, Said::Turns(1)]);
    assert_eq!(chosen(&agent.read().await), "2");
    assert!(!agent.conversation.answer(question.id, true));
}

#[tokio::test]
async fn where_nobody_takes_questions_the_answer_is_no() {
    let mut agent = asking(Duration::from_secs(3600)).await;
    agent.questions.close();
    ask(&mut agent, 10);
    assert_eq!(chosen(&agent.read().await), "2");
}
