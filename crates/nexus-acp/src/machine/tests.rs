use std::collections::VecDeque;

use agent_client_protocol::v1::schema::PermissionOption;
use nexus_core::run::{Reset, Run};

use super::*;

mod replay;

use replay::recording;

fn brief() -> Brief {
    Brief {
        prompt: "do it".to_owned(),
        cwd: "/workspace".into(),
        servers: Vec::new(),
        resume: None,
        approval: Approval::Allow,
        variables: Vec::new(),
        patience: Duration::from_secs(60),
    }
}

/// A machine and what has come out of it: messages that it sends, what it says, and whether its input ends.
struct Talked {
    machine: Machine,
    sent: VecDeque<Value>,
    said: Vec<Said>,
    asked: Vec<Question>,
    looks: Vec<(RequestId, Look)>,
    closed: bool,
}

impl Talked {
    fn new(brief: Brief) -> Self {
        let mut todo = Vec::new();
        let machine = Machine::new(brief, Offers { reads: true, writes: true, terminals: false }, &mut todo);
        let (sent, said, asked, looks) = (VecDeque::new(), Vec::new(), Vec::new(), Vec::new());
        let mut talked = Self { machine, sent, said, asked, looks, closed: false };
        talked.take(todo);
        talked
    }

    fn take(&mut self, todo: Vec<Action>) {
        for action in todo {
            match action {
                Action::Send(line) => {
                    assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
                    assert!(!self.closed, "sent after its input was closed");
                    self.sent.push_back(serde_json::from_slice(&line).unwrap());
                }
                Action::Say(said) => self.said.push(said),
                Action::Ask(question) => self.asked.push(question),
                Action::Look(id, look) => self.looks.push((id, look)),
                Action::Terminal(..) => panic!("none were offered"),
                Action::Close => self.closed = true,
            }
        }
    }

    fn line(&mut self, line: &str) {
        let mut todo = Vec::new();
        self.machine.line(line.as_bytes(), &mut todo);
        self.take(todo);
    }

    fn tell(&mut self, mut message: Value) {
        message["jsonrpc"] = json!("2.0");
        self.line(&message.to_string());
    }

    /// The next message that it has sent; with an answer to it.
    fn sent(&mut self) -> Value {
        self.sent.pop_front().expect("it sends something")
    }

    /// Answers its next request, which has to be this one.
    fn answer(&mut self, method: &str, answer: Value) {
        let sent = self.sent();
        assert_eq!(sent["method"], method);
        let mut message = answer;
        message["id"] = sent["id"].clone();
        self.tell(message);
    }

    fn update(&mut self, update: Value) {
        self.tell(json!({"method": "session/update", "params": {"sessionId": "s", "update": update}}));
    }

    fn cancel(&mut self) {
        let mut todo = Vec::new();
        self.machine.cancel(&mut todo);
        self.take(todo);
    }

    fn ending(&self) -> Option<Ending> {
        let mut run = Run::new(None);
        self.said.iter().for_each(|said| run.hear(said));
        run.ending().cloned()
    }

    fn trouble(&self) -> Trouble {
        match self.ending() {
            Some(Ending::Failed(trouble)) => trouble,
            other => panic!("no trouble: {other:?}"),
        }
    }
}

/// One whose prompt is being done.
fn prompting(brief: Brief) -> Talked {
    let mut talked = Talked::new(brief);
    talked.answer("initialize", json!({"result": {"protocolVersion": 1}}));
    talked.answer("session/new", json!({"result": {"sessionId": "s"}}));
    assert_eq!(talked.sent()["method"], "session/prompt");
    talked
}

fn finish(talked: &mut Talked, answer: Value) {
    let mut message = answer;
    message["id"] = json!(3);
    talked.tell(message);
}

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

#[test]
fn each_end_of_a_prompt_is_told() {
    let usage = json!({"inputTokens": 10, "outputTokens": 5, "totalTokens": 15});
    for (reason, expected) in [
        ("end_turn", Ending::Done),
        ("refusal", Ending::Refused("I won't".to_owned())),
        ("max_tokens", Ending::Failed(Trouble::new(TroubleKind::Limit, "its model had no tokens left (max_tokens)"))),
        (
            "max_turn_requests",
            Ending::Failed(Trouble::new(
                TroubleKind::Limit,
                "it asked its model as often as it may (max_turn_requests)",
            )),
        ),
        ("cancelled", Ending::Failed(Trouble::new(TroubleKind::Crash, "it cancelled its turn by itself"))),
    ] {
        let mut talked = prompting(brief());
        talked.update(json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "I won't"}}));
        finish(&mut talked, json!({"result": {"stopReason": reason, "usage": usage}}));
        assert_eq!(talked.ending(), Some(expected));
        assert!(
            talked.closed
                && talked.said.contains(&Said::Tokens(nexus_core::run::Tokens { input: 10, output: 5, cached: 0 }))
        );
    }
    let mut talked = prompting(brief());
    finish(&mut talked, json!({"result": {"stopReason": "coffee"}}));
    assert_eq!(talked.trouble().kind, TroubleKind::Protocol);
}

#[test]
fn errors_are_told_apart() {
    use TroubleKind::{Authentication, Limit, Model, Protocol, RateLimit};
    for (error, kind, reset) in [
        (json!({"code": -32000, "message": "Authentication required"}), Authentication, None),
        (
            json!({"code": -32603, "message": "Internal error", "data": {"status": 401, "message": "no"}}),
            Authentication,
            None,
        ),
        (json!({"code": 401, "message": "unauthorized"}), Authentication, None),
        (json!({"code": 429, "message": "Rate limit exceeded. Try again later."}), RateLimit, None),
        (
            json!({"code": -32603, "message": "Internal error", "data": "429 Rate limit reached. Please try again in 300s."}),
            RateLimit,
            Some(300),
        ),
        (json!({"code": -32603, "message": "Internal error", "data": {"error": {"status": 429}}}), RateLimit, None),
        (json!({"code": -32603, "message": "prompt is too long"}), Limit, None),
        (json!({"code": -32603, "message": "Internal error"}), Model, None),
        (json!({"code": -32602, "message": "Invalid params"}), Protocol, None),
        (json!("words"), Model, None),
    ] {
        let mut talked = prompting(brief());
        finish(&mut talked, json!({"error": error}));
        let trouble = talked.trouble();
        let seconds = trouble.reset.map(|reset| match reset {
            Reset::In(delay) => delay.as_secs(),
            Reset::At(at) => panic!("{at}"),
        });
        assert_eq!((trouble.kind, seconds), (kind, reset), "{error}: {}", trouble.message);
        assert!(talked.closed);
    }
    // Those that say of a call that failed that their turn has ended.
    for (text, kind) in [
        ("[API Error: 401 invalid x-api-key (fake)]", Some(Authentication)),
        ("Error: 429 Rate limit reached for fake-model. Please try again in 297s.", Some(RateLimit)),
        ("Error: 500 is what your server answered", Some(Model)),
        (
            "Error: Authentication failed with provider at http://x/v1 (HTTP 401).\n  Check your key.",
            Some(Authentication),
        ),
        ("Error: you forgot a semicolon", None),
        ("I fixed the Error: 500 that it had", None),
    ] {
        let mut talked = prompting(brief());
        for text in ["so far so good. ", text] {
            talked.update(json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}));
        }
        finish(&mut talked, json!({"result": {"stopReason": "end_turn"}}));
        match kind {
            Some(kind) => assert_eq!(talked.trouble().kind, kind, "{text}"),
            None => assert_eq!(talked.ending(), Some(Ending::Done), "{text}"),
        }
    }
}

#[test]
fn an_agent_of_another_version_is_refused() {
    for (answer, kind) in [
        (json!({"result": {"protocolVersion": 2}}), TroubleKind::Protocol),
        (json!({"result": {"protocolVersion": "new"}}), TroubleKind::Protocol),
        (json!({"result": 7}), TroubleKind::Protocol),
        (json!({"error": {"code": -32601, "message": "Method not found"}}), TroubleKind::Protocol),
    ] {
        let mut talked = Talked::new(brief());
        talked.answer("initialize", answer);
        assert_eq!((talked.trouble().kind, talked.closed), (kind, true));
    }
}

#[test]
fn one_that_dies_has_not_done_its_task() {
    for (ended, kind) in [("", TroubleKind::Crash), ("Error: Invalid API key", TroubleKind::Authentication)] {
        let mut talked = prompting(brief());
        let mut todo = Vec::new();
        talked.machine.gone(ended, &mut todo);
        talked.take(todo);
        let trouble = talked.trouble();
        assert_eq!(trouble.kind, kind);
        assert!(trouble.message.contains("before it had answered its prompt") && trouble.message.contains(ended));
    }
    let mut talked = prompting(brief());
    finish(&mut talked, json!({"result": {"stopReason": "end_turn"}}));
    let mut todo = Vec::new();
    talked.machine.gone("goodbye", &mut todo);
    assert_eq!(todo, []);
}

#[test]
fn what_is_not_known_harms_nothing() {
    let mut talked = prompting(brief());
    let before = talked.said.len();
    for line in [
        r#"{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","update":{"sessionUpdate":"dance"}}}"#,
        r#"{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","update":7}}"#,
        r#"{"jsonrpc":"2.0","method":"session/update"}"#,
        r#"{"jsonrpc":"2.0","method":"_x/news","params":[1]}"#,
        r#"{"jsonrpc":"2.0","id":999,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}"#,
        "   ",
    ] {
        talked.line(line);
    }
    assert_eq!((talked.said.len(), talked.sent.len()), (before, 0));
    // Unknown fields are no reason not to hear the rest.
    talked.update(
        json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "hi", "x": 1}, "y": 2}),
    );
    assert_eq!(talked.said.last(), Some(&Said::Text("hi".to_owned())));
    for line in ["Loading...", r#"{"level":"info"}"#, "\u{1b}[31mred"] {
        talked.line(line);
        assert_eq!(talked.said.last(), Some(&Said::Plain(line.to_owned())));
    }
    // Requests that aren't known are answered all the same.
    for (method, params, code) in [
        ("terminal/create", json!({"sessionId": "s", "command": "ls"}), -32601),
        ("_x/ask", json!({}), -32601),
        ("session/request_permission", json!({"sessionId": "s"}), -32602),
        ("fs/read_text_file", json!({"sessionId": "s"}), -32602),
    ] {
        talked.tell(json!({"id": "q", "method": method, "params": params}));
        let sent = talked.sent();
        assert_eq!((&sent["id"], &sent["error"]["code"]), (&json!("q"), &json!(code)), "{sent}");
    }
    finish(&mut talked, json!({"result": {"stopReason": "end_turn", "z": [1]}}));
    assert_eq!(talked.ending(), Some(Ending::Done));
}

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

#[test]
fn it_can_be_cancelled_at_any_time() {
    let mut talked = Talked::new(brief());
    talked.cancel();
    assert!(talked.closed && talked.said.is_empty());

    let mut talked = prompting(brief());
    talked.cancel();
    talked.cancel();
    assert_eq!(talked.sent(), json!({"jsonrpc": "2.0", "method": "session/cancel", "params": {"sessionId": "s"}}));
    assert_eq!((talked.sent.len(), talked.closed), (0, false));
    // However it says so.
    finish(&mut talked, json!({"error": {"code": -32603, "message": "aborted"}}));
    assert_eq!((talked.closed, talked.ending()), (true, None));
}

#[test]
fn one_that_only_reads_is_told_so() {
    let mut todo = Vec::new();
    let mut machine = Machine::new(brief(), Offers { reads: true, writes: false, terminals: false }, &mut todo);
    let Action::Send(hello) = &todo[0] else { panic!("{todo:?}") };
    let hello: Value = serde_json::from_slice(hello).unwrap();
    let can = &hello["params"]["clientCapabilities"];
    assert_eq!(can["fs"], json!({"readTextFile": true, "writeTextFile": false}));
    assert_eq!(can["terminal"], json!(false));
    todo.clear();
    let write = json!({"jsonrpc": "2.0", "id": 1, "method": "fs/write_text_file",
        "params": {"sessionId": "s", "path": "/workspace/x", "content": ""}});
    machine.line(write.to_string().as_bytes(), &mut todo);
    assert!(matches!(&todo[..], [Action::Send(line)] if String::from_utf8_lossy(line).contains("only reads")));
}
