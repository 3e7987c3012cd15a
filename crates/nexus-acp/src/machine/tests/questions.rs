//! Permissions that are asked for.

use agent_client_protocol::v1::schema::PermissionOption;

use nexus_core::question::{NotOpen, OpenQuestion};

use super::*;

#[test]
fn options_are_chosen_by_what_they_do() {
    let option = |kind: &str| -> PermissionOption {
        // The ids lie.
        serde_json::from_value(json!({"optionId": format!("id of {kind}"), "name": "allow", "kind": kind})).unwrap()
    };
    for (kinds, allow, chosen) in [
        (&["reject_once", "allow_always", "allow_once"][..], true, Some("allow_once")),
        (&["reject_once", "allow_always"], true, Some("allow_always")),
        (&["reject_once", "reject_always"], true, None),
        (&["allow_once", "reject_always", "reject_once"], false, Some("reject_once")),
        (&["allow_once", "reject_always"], false, Some("reject_always")),
        (&["allow_once", "allow_always"], false, None),
        (&[], true, None),
    ] {
        let options: Vec<_> = kinds.iter().map(|kind| option(kind)).collect();
        let id = match permission::choose(&options, allow) {
            agent_client_protocol::v1::schema::RequestPermissionOutcome::Selected(chosen) => {
                Some(chosen.option_id.to_string())
            }
            _ => None,
        };
        assert_eq!(id, chosen.map(|kind| format!("id of {kind}")), "{kinds:?} {allow}");
    }
}

fn permission(id: u64) -> Value {
    let options = json!([
        {"optionId": "y", "name": "Yes", "kind": "allow_once"},
        {"optionId": "n", "name": "No", "kind": "reject_once"},
    ]);
    let tool = json!({"toolCallId": format!("t{id}"), "title": "rm -rf /", "kind": "execute"});
    let params = json!({"sessionId": "s", "toolCall": tool, "options": options});
    json!({"id": id, "method": "session/request_permission", "params": params})
}

fn id(number: u32) -> QuestionId {
    QuestionId { run: RunMark::new(0), number }
}

impl Talked {
    fn decide(&mut self, named: Option<QuestionId>, allow: bool) -> Result<QuestionId, NotOpen> {
        let mut todo = Vec::new();
        let answered = self.machine.answer(named, allow, &mut todo);
        self.take(todo);
        answered.map(|answered| answered.question)
    }

    fn open(&self) -> Vec<QuestionId> {
        self.machine.questions().iter().map(|open| open.question).collect()
    }
}

#[test]
fn questions_wait_for_their_answer() {
    let mut talked = prompting(Brief { approval: Approval::Ask, ..brief() });
    (10..13).for_each(|id| talked.tell(permission(id)));
    let first = OpenQuestion { question: id(1), what: "rm -rf /".to_owned() };
    assert!(talked.said.contains(&Said::Asks(first.clone())));
    assert_eq!((talked.machine.questions()[0].clone(), talked.open()), (first, vec![id(1), id(2), id(3)]));
    assert_eq!((talked.awaited.clone(), talked.sent.len()), (talked.open(), 0));
    for (number, allow, sent) in [(2, true, Some((11, "y"))), (1, false, Some((10, "n"))), (2, false, None)] {
        assert_eq!(talked.decide(Some(id(number)), allow).is_ok(), sent.is_some());
        if let Some((asked, option)) = sent {
            let outcome = json!({"outcome": "selected", "optionId": option});
            assert_eq!(talked.sent(), json!({"jsonrpc": "2.0", "id": asked, "result": {"outcome": outcome}}));
            let what = "rm -rf /".to_owned();
            assert!(talked.said.contains(&Said::Asked { question: Some(id(number)), what, allowed: allow }));
        }
    }
    // What is open when it is cancelled is cancelled, and what is asked then too.
    talked.cancel();
    talked.tell(permission(20));
    let sent: Vec<_> = talked.sent.iter().map(|sent| (&sent["id"], &sent["result"]["outcome"]["outcome"])).collect();
    let cancelled = json!("cancelled");
    assert_eq!(sent, [(&json!(12), &cancelled), (&Value::Null, &Value::Null), (&json!(20), &cancelled)]);
    assert!(talked.said.contains(&Said::Withdrawn(id(3))) && talked.open().is_empty());
}

#[test]
fn a_late_answer_is_for_no_other_question() {
    let mut talked = prompting(Brief { approval: Approval::Ask, ..brief() });
    talked.tell(permission(10));
    // Nobody answers the first one in time.
    assert_eq!(talked.decide(Some(id(1)), false), Ok(id(1)));
    talked.sent();
    talked.tell(permission(11));
    let only = talked.machine.questions();
    assert_eq!(talked.decide(Some(id(1)), true), Err(NotOpen::Other(id(1), only.clone())));
    assert_eq!(talked.decide(None, true), Err(NotOpen::Which(only)));
    assert_eq!((talked.sent.len(), talked.open()), (0, vec![id(2)]), "the second one still waits");
}

#[test]
fn an_answer_without_a_name_is_for_the_only_question_there_ever_was() {
    for (has_asked, taken) in [(false, true), (true, false)] {
        let mut talked = prompting(Brief { approval: Approval::Ask, has_asked, ..brief() });
        assert_eq!(talked.decide(None, true), Err(NotOpen::Nothing));
        talked.tell(permission(10));
        assert_eq!(talked.decide(None, true).is_ok(), taken);
    }
}

#[test]
fn what_is_open_at_the_end_is_withdrawn() {
    let mut talked = prompting(Brief { approval: Approval::Ask, ..brief() });
    talked.tell(permission(10));
    let mut todo = Vec::new();
    talked.machine.gone("", &mut todo);
    talked.take(todo);
    assert!(talked.said.contains(&Said::Withdrawn(id(1))));
    assert_eq!(talked.decide(Some(id(1)), true), Err(NotOpen::Other(id(1), Vec::new())));
}

#[test]
fn more_questions_than_can_be_asked_are_refused() {
    let mut talked = prompting(Brief { approval: Approval::Ask, ..brief() });
    (0..100).for_each(|id| talked.tell(permission(1000 + id)));
    assert_eq!((talked.open().len(), talked.sent.len()), (QUESTIONS, 100 - QUESTIONS));
}
