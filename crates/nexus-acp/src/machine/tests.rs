use std::collections::VecDeque;

use nexus_core::run::Run;

use super::*;

mod ends;
mod questions;
mod replay;
mod sessions;

fn brief() -> Brief {
    Brief {
        prompt: "do it".to_owned(),
        cwd: "/workspace".into(),
        servers: Vec::new(),
        resume: None,
        approval: Approval::Allow,
        variables: Vec::new(),
        patience: Duration::from_secs(60),
        mark: RunMark::new(0),
        has_asked: false,
    }
}

/// A machine and what has come out of it: messages that it sends, what it says, and whether its input ends.
struct Talked {
    machine: Machine,
    sent: VecDeque<Value>,
    said: Vec<Said>,
    awaited: Vec<QuestionId>,
    looks: Vec<(RequestId, Look)>,
    closed: bool,
}

impl Talked {
    fn new(brief: Brief) -> Self {
        let mut todo = Vec::new();
        let machine = Machine::new(brief, Offers { reads: true, writes: true, terminals: false }, &mut todo);
        let (sent, said, awaited, looks) = (VecDeque::new(), Vec::new(), Vec::new(), Vec::new());
        let mut talked = Self { machine, sent, said, awaited, looks, closed: false };
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
                Action::Await(question, _) => self.awaited.push(question),
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
