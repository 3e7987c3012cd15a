//! Agents that speak the Agent Client Protocol, by one that plays scripts: permissions, the workspace's files, cancel, resume.

use std::sync::Arc;

use serde_json::Value;

use crate::support::processes::{assert_none, until};
use crate::support::{Company, Place, WORK, at};

/// A place whose department works by the scripted agent, in the way of `more`.
fn place(more: &str) -> Arc<Place> {
    let place = Place::with(&[]);
    place.department("work", &format!("agents = [\"scripted\"]\n{more}\n{WORK}"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/scripted_acp.py");
    let agent = format!("[agents.scripted]\nkind = \"acp\"\ncommand = [\"python3\", \"{script}\"]\n");
    place.write("config/nexus.toml", &format!("shutdown_grace = \"300ms\"\n{agent}"));
    place
}

fn company(more: &str) -> Company {
    Company::up(&place(more))
}

fn play(company: &Company, script: &str) -> Value {
    let id = company.delegate(&["--max-attempts", "1", script]);
    company.ended(&id)
}

#[test]
fn what_it_says_and_spends_is_known() {
    let company = company("");
    let answer = play(&company, "@say hello\n@say there");
    assert_eq!(at(&answer, "task.status"), "completed", "{answer:#}");
    assert_eq!(at(&answer, "task.result.output"), "hello\nthere\n");
    assert_eq!(at(&answer, "task.run.session"), "acp-session-1");
    assert_eq!((at(&answer, "task.run.tokens.input"), at(&answer, "task.run.tokens.output")), (&70.into(), &7.into()));
    let workspace = at(&answer, "task.result.workspace.path").as_str().unwrap();
    let servers: Value = serde_json::from_slice(&std::fs::read(format!("{workspace}/servers.json")).unwrap()).unwrap();
    assert_eq!(at(&servers, "0.name"), "nexus", "it gets the company's tools");
}

#[test]
fn files_are_those_of_the_workspace_alone() {
    let company = company("");
    let outside = company.text("outside");
    company.write("outside", "secret");
    let script =
        format!("@write note.txt words\n@read note.txt\n@write {outside} gone\n@read {outside}\n@read ../../log");
    let answer = play(&company, &script);
    assert_eq!(at(&answer, "task.result.output"), "written\nwords\nrefused\nrefused\nrefused\n", "{answer:#}");
    assert_eq!(company.read("outside"), "secret");
}

#[test]
fn permissions_are_answered_by_policy() {
    for (approval, answered, denied) in [("allow", "a-1", 0), ("reject", "r-1", 1)] {
        let company = company(&format!("approval = \"{approval}\""));
        let answer = play(&company, "@ask run `make install`");
        assert_eq!(at(&answer, "task.result.output"), format!("answered {answered}\n").as_str(), "{answer:#}");
        let said = answer.pointer("/task/run/denied").and_then(Value::as_u64).unwrap_or(0);
        assert_eq!(said, denied, "{approval}");
    }
}

#[test]
fn a_person_is_asked_and_answers() {
    let company = company("approval = \"ask\"");
    for (answer, answered) in [("allow", "a-1"), ("reject", "r-1")] {
        let task = company.delegate(&["@ask run `make install`"]);
        let asks = until("the question", || Some(company.status(&task).pointer("/live/asks")?.as_str()?.to_owned()));
        assert!(asks.contains("make install"), "{asks}");
        let shown = company.run(&["status", &task]).done();
        assert!(shown.contains(&format!("nexus answer {task} allow")), "{shown}");
        let said = company.run(&["answer", &task, answer]).done();
        assert!(said.contains("make install"), "{said}");
        let ended = company.ended(&task);
        assert_eq!(at(&ended, "task.result.output"), format!("answered {answered}\n").as_str(), "{ended:#}");
        company.run(&["answer", &task, answer]).fails(4, &["is completed; its agent asks for nothing"]);
    }
    company.run(&["answer", "0198aaaa", "allow"]).fails(3, &["there is no task 0198aaaa"]);
}

#[test]
fn who_waits_for_a_person_is_not_idle() {
    let company = company("approval = \"ask\"\nlimits.idle_time = \"1s\"");
    let gate = company.text("gate");
    let task = company.delegate(&["--max-attempts", "1", "@ask run `make install`"]);
    until("the question", || company.status(&task).pointer("/live/asks")?.as_str().map(drop));
    // Longer than it may be idle: as long as another task takes that is.
    let idle = company.delegate(&["--max-attempts", "1", &format!("@await {gate}")]);
    let ended = company.ended(&idle);
    assert!(at(&ended, "task.error").as_str().unwrap().contains("limits.idle_time"), "{ended:#}");
    company.run(&["answer", &task, "allow"]).done();
    assert_eq!(at(&company.ended(&task), "task.status"), "completed");
}

#[test]
fn it_is_cancelled_in_its_own_words_and_an_interrupted_one_goes_on() {
    let place = place("");
    let company = Company::up(&place);
    let gate = company.text("gate");
    let script = format!("@touch {gate}.ready\n@await {gate}\n@say done");
    let ready = || std::path::Path::new(&format!("{gate}.ready")).exists().then_some(());
    let task = company.delegate(&[&script]);
    until("the agent", ready);
    company.run(&["cancel", &task]).done();
    assert_none(&company.path("data/workspaces"));
    std::fs::remove_file(format!("{gate}.ready")).unwrap();
    let task = company.delegate(&[&script]);
    until("the agent", ready);
    until("its session", || company.status(&task).pointer("/task/run/session").cloned());
    let company = Company::up(&company.stop());
    company.open("gate");
    let answer = company.ended(&task);
    assert_eq!(at(&answer, "task.status"), "completed", "{answer:#}");
    assert_eq!((at(&answer, "task.attempt"), at(&answer, "task.run.resumed")), (&1.into(), &true.into()));
}
