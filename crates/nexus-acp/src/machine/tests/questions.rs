//! Permissions that are asked for.

use agent_client_protocol::v1::schema::PermissionOption;

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

#[test]
fn questions_wait_for_their_answer() {
    let mut talked = prompting(Brief { approval: Approval::Ask, ..brief() });
    (10..13).for_each(|id| talked.tell(permission(id)));
    assert_eq!(talked.asked[0], Question { id: 1, what: "rm -rf /".to_owned() });
    assert_eq!((talked.asked.len(), talked.sent.len()), (3, 0));
    for (question, allow, sent) in [(2, true, Some((11, "y"))), (1, false, Some((10, "n"))), (2, false, None)] {
        let mut todo = Vec::new();
        assert_eq!(talked.machine.answer(question, allow, &mut todo), sent.is_some());
        talked.take(todo);
        if let Some((id, option)) = sent {
            let outcome = json!({"outcome": "selected", "optionId": option});
            assert_eq!(talked.sent(), json!({"jsonrpc": "2.0", "id": id, "result": {"outcome": outcome}}));
            assert!(talked.said.contains(&Said::Asked { what: "rm -rf /".to_owned(), allowed: allow }));
        }
    }
    // What is open when it is cancelled is cancelled, and what is asked then too.
    talked.cancel();
    talked.tell(permission(20));
    let sent: Vec<_> = talked.sent.iter().map(|sent| (&sent["id"], &sent["result"]["outcome"]["outcome"])).collect();
    let cancelled = json!("cancelled");
    assert_eq!(sent, [(&json!(12), &cancelled), (&Value::Null, &Value::Null), (&json!(20), &cancelled)]);
}

#[test]
fn more_questions_than_can_be_asked_are_refused() {
    let mut talked = prompting(Brief { approval: Approval::Ask, ..brief() });
    (0..100).for_each(|id| talked.tell(permission(1000 + id)));
    assert_eq!((talked.asked.len(), talked.sent.len()), (QUESTIONS, 100 - QUESTIONS));
}
