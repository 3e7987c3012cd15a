//! Files that an agent asks for, through a whole conversation.

use std::path::Path;
use std::sync::Arc;

use nexus_acp::{Files, WorkspaceFiles};
use serde_json::json;

use crate::agent::{Agent, brief};

pub(crate) fn of(root: &Path) -> Arc<dyn Files> {
    Arc::new(WorkspaceFiles::open((root, Path::new("")), root.to_owned(), true, Vec::new()).unwrap())
}

#[tokio::test]
async fn files_of_the_workspace_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = Agent::prompted(brief(), Some(of(dir.path()))).await;
    let path = dir.path().join("file");
    // In this order, though nothing is waited for.
    for (id, content) in [(10, "one"), (11, "two\n")] {
        let params = json!({"sessionId": "s", "path": path, "content": content});
        agent.ask(id, "fs/write_text_file", params);
    }
    agent.read_file(12, &path);
    for id in [10, 11] {
        assert_eq!(agent.read().await, json!({"jsonrpc": "2.0", "id": id, "result": {}}));
    }
    assert_eq!(agent.read().await["result"], json!({"content": "two\n"}));
    assert_eq!(std::fs::read_to_string(path).unwrap(), "two\n");
}

#[tokio::test]
async fn refusals_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = Agent::prompted(brief(), Some(of(dir.path()))).await;
    for (path, code, says) in [
        (Path::new("/etc/passwd"), -32602, "not in the workspace"),
        (&dir.path().join("../x"), -32602, "not in the workspace"),
        (&dir.path().join("none"), -32002, "none"),
    ] {
        agent.read_file(10, path);
        let answer = agent.read().await;
        assert_eq!(answer["error"]["code"], code, "{answer}");
        assert!(answer["error"]["data"].to_string().contains(says), "{answer}");
    }
}

/// One agent makes no file that it is told isn't there.
#[tokio::test]
async fn a_missing_file_is_empty_for_gemini() {
    let dir = tempfile::tempdir().unwrap();
    for (name, answered) in [("gemini-cli", "result"), ("other", "error")] {
        let mut agent = Agent::new(brief(), Some(of(dir.path())), 64 * 1024);
        agent.read().await;
        let info = json!({"name": name, "version": "1"});
        agent.say(json!({"id": 1, "result": {"protocolVersion": 1, "agentInfo": info}}));
        agent.read().await;
        agent.read_file(10, &dir.path().join("none"));
        let answer = agent.read().await;
        assert!(answer.get(answered).is_some(), "{name}: {answer}");
    }
}

#[tokio::test]
async fn without_files_there_are_none() {
    let mut agent = Agent::new(brief(), None, 64 * 1024);
    let hello = agent.read().await;
    let can = &hello["params"]["clientCapabilities"]["fs"];
    assert_eq!(can, &json!({"readTextFile": false, "writeTextFile": false}));
    agent.read_file(10, Path::new("/workspace/x"));
    assert_eq!(agent.read().await["error"]["code"], -32601);
}

/// More than are looked at at a time are refused, not queued.
#[tokio::test]
async fn looks_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = Agent::prompted(brief(), Some(of(dir.path()))).await;
    (100..200).for_each(|id| agent.read_file(id, &dir.path().join("none")));
    let mut refused = 0;
    for _ in 100..200 {
        let answer = agent.read().await;
        refused += usize::from(answer["error"]["data"] == json!("too many files at once"));
    }
    assert!(refused > 0 && refused < 100, "{refused}");
}
