//! Commands that an agent has run for it, through a whole conversation, by terminals that print what a test says.

use std::sync::{Arc, Mutex};

use nexus_acp::{Conversation, Errand, Later, Printed, Terminal, Terminals};
use nexus_core::attempt::ExitStatus;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::agent::{Agent, brief};

/// The commands that were started, and what becomes of each.
#[derive(Default)]
struct Stage {
    errands: Mutex<Vec<Errand>>,
    plays: Mutex<Vec<Arc<Play>>>,
}

/// The output of one command; told anew by a test.
struct Play {
    printed: watch::Sender<Printed>,
    killed: watch::Sender<bool>,
}

struct Handle(Arc<Play>);

struct Runner(Arc<Stage>);

impl Terminals for Runner {
    fn create(&self, errand: Errand) -> Later<Result<Box<dyn Terminal>, String>> {
        let stage = Arc::clone(&self.0);
        Box::pin(async move {
            if errand.command == "none" {
                return Err("there is no none".to_owned());
            }
            stage.errands.lock().unwrap().push(errand);
            let play =
                Arc::new(Play { printed: watch::Sender::new(Printed::default()), killed: watch::Sender::new(false) });
            stage.plays.lock().unwrap().push(Arc::clone(&play));
            Ok(Box::new(Handle(play)) as Box<dyn Terminal>)
        })
    }
}

impl Terminal for Handle {
    fn output(&self) -> Printed {
        self.0.printed.borrow().clone()
    }

    fn ended(&self) -> Later<ExitStatus> {
        let mut printed = self.0.printed.subscribe();
        Box::pin(async move {
            let ended = printed.wait_for(|printed| printed.exit.is_some()).await;
            ended.ok().and_then(|printed| printed.exit).unwrap_or(ExitStatus::Code(-1))
        })
    }

    fn kill(&self) {
        self.0.killed.send_replace(true);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Stage {
    fn play(&self, number: usize) -> Arc<Play> {
        Arc::clone(&self.plays.lock().unwrap()[number])
    }
}

impl Play {
    fn print(&self, text: &str, truncated: bool, exit: Option<ExitStatus>) {
        self.printed.send_replace(Printed { text: text.to_owned(), truncated, exit });
    }

    fn is_killed(&self) -> bool {
        *self.killed.borrow()
    }
}

async fn agent() -> (Agent, Arc<Stage>) {
    let stage = Arc::new(Stage::default());
    let terminals = Arc::new(Runner(Arc::clone(&stage)));
    let mut agent = Agent::of(Conversation::with_terminals(brief(), None, Some(terminals)), 64 * 1024);
    agent.begin().await;
    (agent, stage)
}

async fn asked(agent: &mut Agent, id: u64, method: &str, params: Value) -> Value {
    let mut whole = json!({"sessionId": "s"});
    whole.as_object_mut().unwrap().extend(params.as_object().unwrap().clone());
    agent.ask(id, &format!("terminal/{method}"), whole);
    let answer = agent.read().await;
    assert_eq!(answer["id"], id, "{answer}");
    answer
}

async fn created(agent: &mut Agent, id: u64) -> Value {
    let answer = asked(agent, id, "create", json!({"command": "make"})).await;
    json!({"terminalId": answer["result"]["terminalId"]})
}

#[tokio::test]
async fn they_are_offered_where_something_runs_them() {
    let terminals: [Option<Arc<dyn Terminals>>; 2] = [None, Some(Arc::new(Runner(Arc::default())))];
    for terminals in terminals {
        let offered = terminals.is_some();
        let mut agent = Agent::of(Conversation::with_terminals(brief(), None, terminals), 64 * 1024);
        assert_eq!(agent.read().await["params"]["clientCapabilities"]["terminal"], offered);
        let answer = asked(&mut agent, 10, "create", json!({"command": "make"})).await;
        assert_eq!(answer.get("result").is_some(), offered, "{answer}");
        assert!(offered || answer["error"]["code"] == -32601, "{answer}");
    }
}

#[tokio::test]
async fn what_is_run_is_what_was_asked_for() {
    const MIB: usize = 1024 * 1024;
    let (mut agent, stage) = agent().await;
    let env = json!([{"name": "A", "value": "1"}]);
    for (id, (params, cwd, keep)) in [
        (json!({"command": "make", "args": ["-k"], "env": env, "cwd": "/workspace/x"}), Some("/workspace/x"), MIB),
        (json!({"command": "make", "args": ["-k"], "env": env, "outputByteLimit": 7}), None, 7),
        (json!({"command": "make", "args": ["-k"], "env": env, "outputByteLimit": u64::MAX}), None, MIB),
    ]
    .into_iter()
    .enumerate()
    {
        asked(&mut agent, 10 + id as u64, "create", params).await;
        let errand = stage.errands.lock().unwrap().pop().unwrap();
        let (command, args) = ("make".to_owned(), vec!["-k".to_owned()]);
        let env = vec![("A".to_owned(), "1".to_owned())];
        assert_eq!(errand, Errand { command, args, env, cwd: cwd.map(Into::into), keep });
    }
}

#[tokio::test]
async fn output_and_end_are_told() {
    let (mut agent, stage) = agent().await;
    let terminal = created(&mut agent, 10).await;
    let code = |code| Some(ExitStatus::Code(code));
    for (text, truncated, exit, expected) in [
        ("", false, None, json!({"output": "", "truncated": false})),
        ("some", false, None, json!({"output": "some", "truncated": false})),
        ("me", true, code(3), json!({"output": "me", "truncated": true, "exitStatus": {"exitCode": 3}})),
        (
            "",
            false,
            Some(ExitStatus::Signal(9)),
            json!({"output": "", "truncated": false, "exitStatus": {"signal": "SIGKILL"}}),
        ),
    ] {
        stage.play(0).print(text, truncated, exit);
        assert_eq!(asked(&mut agent, 11, "output", terminal.clone()).await["result"], expected);
    }
}

/// Who waits for one command can ask for all else meanwhile.
#[tokio::test]
async fn a_wait_holds_nothing_up() {
    let (mut agent, stage) = agent().await;
    let terminal = created(&mut agent, 10).await;
    let mut params = terminal.clone();
    params["sessionId"] = json!("s");
    agent.ask(11, "terminal/wait_for_exit", params);
    asked(&mut agent, 12, "output", terminal.clone()).await;
    let killed = asked(&mut agent, 13, "kill", terminal.clone()).await;
    assert_eq!(killed["result"], json!({}));
    assert!(stage.play(0).is_killed());
    stage.play(0).print("", false, Some(ExitStatus::Signal(9)));
    let waited = agent.read().await;
    assert_eq!((&waited["id"], &waited["result"]["signal"]), (&json!(11), &json!("SIGKILL")), "{waited}");
    let waited = asked(&mut agent, 14, "wait_for_exit", terminal).await;
    assert_eq!(waited["result"]["signal"], "SIGKILL", "after its end too");
}

#[tokio::test]
async fn what_is_released_is_killed_and_forgotten() {
    let (mut agent, stage) = agent().await;
    let terminal = created(&mut agent, 10).await;
    assert_eq!(asked(&mut agent, 11, "release", terminal.clone()).await["result"], json!({}));
    assert!(stage.play(0).is_killed());
    for method in ["output", "wait_for_exit", "kill", "release"] {
        let answer = asked(&mut agent, 12, method, terminal.clone()).await;
        assert_eq!(answer["error"]["code"], -32602, "{method}: {answer}");
    }
    let answer = asked(&mut agent, 13, "create", json!({"command": "none"})).await;
    assert_eq!(answer["error"], json!({"code": -32602, "message": "Invalid params", "data": "there is no none"}));
    assert_eq!(asked(&mut agent, 14, "create", json!({})).await["error"]["code"], -32602);
}

#[tokio::test]
async fn only_so_many_are_open() {
    let (mut agent, stage) = agent().await;
    let mut first = None;
    for id in 0..16 {
        let terminal = created(&mut agent, 10 + id).await;
        first.get_or_insert(terminal);
    }
    let refused = asked(&mut agent, 40, "create", json!({"command": "make"})).await;
    assert!(refused["error"]["data"].as_str().unwrap().contains("16 terminals are open"), "{refused}");
    asked(&mut agent, 41, "release", first.unwrap()).await;
    assert!(created(&mut agent, 42).await["terminalId"].is_string());
    assert_eq!(stage.plays.lock().unwrap().len(), 17);
}

#[tokio::test]
async fn the_end_of_the_conversation_ends_them() {
    let (mut agent, stage) = agent().await;
    created(&mut agent, 10).await;
    assert!(!stage.play(0).is_killed());
    agent.stop("end_turn");
    agent.ends().await;
    assert!(stage.play(0).is_killed());
}
