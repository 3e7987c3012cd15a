//! Recordings of real agents, said again to a machine of ours.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::*;

/// A recording's messages, by what of ours they follow: the method of a request, or the answer to one of theirs.
pub(super) fn recording(name: &str) -> BTreeMap<String, Vec<Value>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../nexus-agents/recordings/acp/{name}.jsonl"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut after = String::new();
    let mut told: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let message = line["msg"].clone();
        match line["dir"].as_str().unwrap() {
            ">" => after = key(&message),
            _ => told.entry(after.clone()).or_default().push(message),
        }
    }
    told
}

fn key(message: &Value) -> String {
    message["method"].as_str().map_or_else(|| message["id"].to_string(), str::to_owned)
}

/// Has a conversation with what an agent once said; what both sides say, line by line.
fn replay(name: &str, brief: Brief) -> (String, Talked) {
    let told = recording(name);
    let mut talked = Talked::new(brief);
    let mut story = String::new();
    let mut said = 0;
    while let Some(sent) = talked.sent.pop_front() {
        writeln!(story, "> {sent}").unwrap();
        let key = key(&sent);
        for mut message in told.get(&key).cloned().unwrap_or_default() {
            // Ours have numbers of their own.
            if message.get("method").is_none() {
                message["id"] = json!(talked.machine.asked);
            }
            talked.line(&message.to_string());
        }
        if key == "session/prompt" && told.contains_key("session/cancel") {
            talked.cancel();
        }
        if key == "session/cancel" {
            let mut end = told["session/cancel"].last().unwrap().clone();
            end["id"] = json!(talked.machine.asked);
            talked.line(&end.to_string());
        }
        for said in talked.said.iter().skip(std::mem::replace(&mut said, talked.said.len())) {
            writeln!(story, "{said:?}").unwrap();
        }
    }
    writeln!(story, "closed: {}", talked.closed).unwrap();
    (story, talked)
}

#[test]
fn recordings_are_had_again() {
    let server = ToolServer {
        name: "nexus".to_owned(),
        command: "/usr/bin/python3".to_owned(),
        args: vec!["/agent/mcp.py".to_owned()],
    };
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nexus-agents/recordings/acp");
    let mut names: Vec<_> = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).collect();
    names.sort();
    assert!(names.len() >= 11);
    for path in names {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let (_, case) = name.split_once('.').unwrap();
        let brief = Brief {
            approval: if case == "reject" { Approval::Reject } else { Approval::Allow },
            servers: if case == "mcp" { vec![server.clone()] } else { Vec::new() },
            ..brief()
        };
        let (story, talked) = replay(&name, brief);
        assert!(talked.closed, "{name}: {story}");
        let ending = talked.ending();
        match (name.as_str(), case) {
            (_, "cancel") => assert_eq!(ending, None, "{name}"),
            ("codex.reject", _) => assert!(matches!(ending, Some(Ending::Refused(_))), "{ending:?}"),
            _ => assert_eq!(ending, Some(Ending::Done), "{name}"),
        }
        let denied = talked.said.iter().any(|said| matches!(said, Said::Asked { allowed: false, .. }));
        assert_eq!(denied, case == "reject", "{name}");
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name.as_str(), story);
        });
    }
}

/// Every prefix of a recording, with bytes of it broken: nothing panics, and nothing is said after the end of input.
#[test]
fn broken_streams_are_survived() {
    let told = recording("copilot.allow");
    let lines: Vec<_> = told.values().flatten().map(Value::to_string).collect();
    for broken in 0..lines.len() {
        let mut talked = prompting(brief());
        for (index, line) in lines.iter().enumerate() {
            let line = if index == broken { &line[..line.floor_char_boundary(line.len() / 2)] } else { line };
            talked.line(&line.replace("1737b98e-6b01-4451-9b4f-9ec17a2897e8", "s"));
        }
        let mut todo = Vec::new();
        talked.machine.gone("", &mut todo);
        talked.take(todo);
        assert!(talked.ending().is_some() && talked.closed);
    }
}
