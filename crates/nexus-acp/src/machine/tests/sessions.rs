//! Logins and sessions, before the prompt.

use super::replay::recording;
use super::*;

#[test]
fn a_login_that_needs_nobody_is_done_when_it_is_asked_for() {
    let needed = json!({"error": {"code": -32000, "message": "Authentication required"}});
    let hello = recording("gemini.allow")["initialize"][0].clone();
    let talk = |variables: &[&str], hello: &Value| {
        let variables = variables.iter().map(|name| (*name).to_owned()).collect();
        let mut talked = Talked::new(Brief { variables, ..brief() });
        talked.answer("initialize", hello.clone());
        talked.answer("session/new", needed.clone());
        talked
    };
    let mut talked = talk(&["HOME", "GEMINI_API_KEY"], &hello);
    assert_eq!(talked.sent.front().unwrap()["params"], json!({"methodId": "gemini-api-key"}));
    talked.answer("authenticate", json!({"result": {}}));
    // It is done once.
    talked.answer("session/new", needed.clone());
    assert_eq!((talked.trouble().kind, talked.closed), (TroubleKind::Authentication, true));

    let codex = recording("codex.allow")["initialize"][0].clone();
    let talked = talk(&["OPENAI_API_KEY"], &codex);
    assert_eq!(talked.sent[0]["params"], json!({"methodId": "openai-api-key"}));

    for (hello, says) in [
        (&hello, "set GEMINI_API_KEY"),
        (&codex, "set CODEX_API_KEY"),
        (&recording("copilot.allow")["initialize"][0], "Run `copilot login` in the terminal"),
        (&json!({"result": {"protocolVersion": 1}}), "see its documentation"),
    ] {
        let talked = talk(&["HOME", "COPILOT_LOGIN_API_KEY"], hello);
        let trouble = talked.trouble();
        assert_eq!((trouble.kind, talked.closed), (TroubleKind::Authentication, true));
        assert!(trouble.message.contains(says), "{}", trouble.message);
    }
}

#[test]
fn a_login_that_fails_is_an_authentication_failure() {
    let mut talked = Talked::new(Brief { variables: vec!["GEMINI_API_KEY".to_owned()], ..brief() });
    talked.answer("initialize", recording("gemini.allow")["initialize"][0].clone());
    talked.answer("session/new", json!({"error": {"code": -32000, "message": "Authentication required"}}));
    talked.answer("authenticate", json!({"error": {"code": -32603, "message": "Internal error"}}));
    assert_eq!(talked.trouble().kind, TroubleKind::Authentication);
}

#[test]
fn sessions_are_gone_on_with_where_that_can_be() {
    let hello = |can: Value| json!({"result": {"protocolVersion": 1, "agentCapabilities": can}});
    let talk = |can: Value| {
        let mut talked = Talked::new(Brief { resume: Some("s".to_owned()), ..brief() });
        talked.answer("initialize", hello(can));
        talked
    };
    for (can, method) in [
        (json!({"loadSession": true}), "session/load"),
        (json!({"loadSession": true, "sessionCapabilities": {"resume": {}}}), "session/resume"),
    ] {
        let mut talked = talk(can.clone());
        assert_eq!(talked.sent[0]["params"], json!({"sessionId": "s", "cwd": "/workspace", "mcpServers": []}));
        // What was said then isn't said again.
        talked.update(json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "old"}}));
        talked.answer(method, json!({"result": {}}));
        assert_eq!(talked.sent()["params"]["sessionId"], "s");
        assert_eq!(talked.said, [Said::Session("s".to_owned())]);

        // One that is gone is begun anew.
        let mut talked = talk(can);
        talked.answer(method, json!({"error": {"code": -32002, "message": "Resource not found"}}));
        talked.answer("session/new", json!({"result": {"sessionId": "t"}}));
        assert!(matches!(&talked.said[..], [Said::Anew(_), Said::Session(session)] if session == "t"));
    }
    // One that says that it resumes, and then doesn't know how, may still load.
    let mut talked = talk(json!({"loadSession": true, "sessionCapabilities": {"resume": {}}}));
    talked.answer("session/resume", json!({"error": {"code": -32601, "message": "Method not found"}}));
    talked.answer("session/load", json!({"result": {}}));
    assert_eq!(talked.said, [Said::Session("s".to_owned())]);
    let mut talked = talk(json!({}));
    talked.answer("session/new", json!({"result": {"sessionId": "t"}}));
    assert!(matches!(&talked.said[..], [Said::Anew(_), Said::Session(session)] if session == "t"));
}
