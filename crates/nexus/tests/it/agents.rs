//! Coding agents, by one that plays scripts: what it says decides, whatever its exit code; what it spends is counted while it
//! runs; what it leaves behind is ended.

use std::sync::Arc;

use serde_json::Value;

use crate::support::processes::{assert_none, until};
use crate::support::{Company, Place, WORK, at};

/// A place whose department works by the scripted agent, in the way of `more`.
fn place(more: &str) -> Arc<Place> {
    let place = Place::with(&[]);
    place.department("work", &format!("agents = [\"scripted\", \"other\"]\n{WORK}{more}"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/scripted_agent.py");
    let agent = |name: &str| format!("[agents.{name}]\nkind = \"codex\"\ncommand = [\"python3\", \"{script}\"]\n");
    place.write("config/nexus.toml", &format!("shutdown_grace = \"300ms\"\n{}{}", agent("scripted"), agent("other")));
    place
}

fn company(more: &str) -> Company {
    Company::up(&place(more))
}

/// Runs a script to its end.
fn play(company: &Company, script: &str) -> Value {
    let id = company.delegate(&["--max-attempts", "1", script]);
    company.ended(&id)
}

fn log(company: &Company, id: &str) -> String {
    company.run(&["logs", id]).done()
}

fn id(answer: &Value) -> String {
    at(answer, "task.task_id").as_str().unwrap().to_owned()
}

#[test]
fn what_it_says_is_its_result_and_what_it_does_is_shown() {
    let company = company("");
    let answer =
        play(&company, "@say first\n@tool echo hello\n@tool exit 3\n@usage 100 10\n@say the\nlast\n@say the end");
    assert_eq!(at(&answer, "task.status"), "completed", "{answer:#}");
    assert_eq!(at(&answer, "task.result.output"), "the end");
    let run = at(&answer, "task.run");
    assert_eq!((at(run, "tool_calls"), at(run, "tool_failures")), (&2.into(), &1.into()));
    assert_eq!(at(run, "tokens.input"), 100);
    assert_eq!(at(run, "session").as_str().unwrap().len(), 36);
    let log = log(&company, &id(&answer));
    for words in ["first", "echo hello", "the end", "> failed"] {
        assert!(log.contains(words), "{words}: {log}");
    }
    let shown = company.run(&["status", &id(&answer)]).done();
    assert!(shown.contains("100 in, 10 out") && shown.contains("2 calls, 1 failed"), "{shown}");
}

#[test]
fn what_it_was_told_can_be_read_again() {
    let company = company("role = \"Work in {{ department }}.\"\n");
    let answer = play(&company, "@say fine");
    let id = id(&answer);
    let told = "Work in work.\n\n---\n\n# Your task\n\n@say fine";
    assert_eq!(company.run(&["prompt", &id]).done(), told);
    assert_eq!(company.run(&["prompt", &id, "--attempt", "1"]).done(), told);
    let json = company.json(&["prompt", &id]);
    assert_eq!(
        (at(&json, "agent"), at(&json, "attempt"), at(&json, "text")),
        (&"scripted".into(), &1.into(), &told.into())
    );
    company.run(&["prompt", &id, "--attempt", "2"]).fails(3, &["no prompt is kept of attempt 2"]);
}

#[test]
fn exit_codes_are_not_believed() {
    let company = company("");
    let check = |script: &str, status: &str, words: &str| {
        let answer = play(&company, script);
        let error = at(&answer, "task.error").as_str().unwrap_or_default();
        assert!(at(&answer, "task.status") == status && error.contains(words), "{script}: {answer:#}");
    };
    check("@done 0", "completed", "");
    check("@done 1", "failed", "said that it was done, and ended with exit code 1");
    check("@say hi\n@crash 0", "failed", "without a word");
    check("@say hi\n@crash 7", "failed", "exit code 7");
    check("@failed the model is out of order", "failed", "out of order");
    check("@garbage\n@say fine", "completed", "");
}

#[test]
fn a_flood_and_a_long_message_are_taken() {
    let company = company("");
    let answer = play(&company, "@flood 20000\n@long 3000\n@say done");
    assert_eq!(at(&answer, "task.status"), "completed", "{answer:#}");
    assert_eq!(at(&answer, "task.result.output"), "done");
    let lines = log(&company, &id(&answer));
    assert!(lines.contains("nonsense 19999\n") && lines.contains(&"x".repeat(10_000)));
}

#[test]
fn one_that_is_silent_is_ended_and_one_that_lives_on_when_it_is_done_too() {
    let company = company("[limits]\nfirst_event = \"2s\"\n");
    let answer = play(&company, "@silent");
    let error = at(&answer, "task.error").as_str().unwrap();
    assert!(error.contains("said nothing for 2s (limits.first_event)"), "{error}");
    let answer = play(&company, "@say bye\n@trap\n@child\n@hang");
    assert_eq!(at(&answer, "task.status"), "completed", "{answer:#}");
    assert_eq!(at(&answer, "task.result.output"), "bye");
    assert_none(&company.path("data/workspaces"));
}

#[test]
fn one_that_says_nothing_more_is_idle_whatever_file_is_looked_at_beside_it() {
    let company = company("[limits]\nidle_time = \"1s\"\n");
    let answer = play(&company, "@usage 10 1\n@say hello\n@silent");
    let error = at(&answer, "task.error").as_str().unwrap();
    assert!(error.contains("for 1s (limits.idle_time)"), "{error}");
    assert_eq!(at(&answer, "task.run.tokens.input"), 10);
}

#[test]
fn a_budget_ends_it_during_the_run() {
    let company = company("[limits]\ntokens = 1000\n");
    let gate = company.text("gate");
    let script = format!("@usage 700 50\n@usage 800 50\n@touch {gate}.warned\n@await {gate}\n@usage 950 50\n@silent");
    let task = company.delegate(&[&script]);
    // The budget is the task's: it isn't tried again.
    until("a warning", || {
        let live = company.status(&task);
        let warnings = live.pointer("/live/run/warnings")?.to_string();
        warnings.contains("85 % of its budget of 1000 tokens").then_some(())
    });
    assert_eq!(at(&company.status(&task), "task.status"), "running");
    company.open("gate");
    let answer = company.ended(&task);
    assert_eq!((at(&answer, "task.status"), at(&answer, "task.attempt")), (&"failed".into(), &1.into()));
    assert_eq!(at(&answer, "task.run.tokens.input"), 950);
    let error = at(&answer, "task.error").as_str().unwrap();
    assert!(error.contains("used up its budget of 1000 tokens"), "{error}");
    let events = company.json(&["events", "--task", &task]);
    let last = events.as_array().unwrap().last().unwrap();
    assert_eq!(at(last, "what.failure.kind"), "budget");
}

#[test]
fn an_interrupted_attempt_goes_on_with_its_session_and_what_it_has_spent() {
    let place = place("");
    let company = Company::up(&place);
    let gate = company.text("gate");
    let script = format!("@usage 100 10\n@touch {gate}.ready\n@await {gate}\n@say done");
    let task = company.delegate(&[&script]);
    until("the agent", || std::path::Path::new(&format!("{gate}.ready")).exists().then_some(()));
    let session = until("its session", || {
        let answer = company.status(&task);
        Some(answer.pointer("/task/run/session")?.as_str()?.to_owned())
    });
    until("its tokens", || (company.status(&task).pointer("/live/run/tokens/input")? == 100).then_some(()));
    let place = company.stop();
    let company = Company::up(&place);
    company.open("gate");
    let answer = company.ended(&task);
    assert_eq!(at(&answer, "task.status"), "completed", "{answer:#}");
    assert_eq!((at(&answer, "task.attempt"), at(&answer, "task.interruptions")), (&1.into(), &1.into()));
    assert_eq!(
        (at(&answer, "task.run.session"), at(&answer, "task.run.resumed")),
        (&session.clone().into(), &true.into())
    );
    assert_eq!(at(&answer, "task.spent.tokens"), 110);
    let log = log(&company, &task);
    assert!(log.contains(&format!("goes on with the session {session}")), "{log}");
    assert!(log.contains(&format!("resumed {session}")), "{log}");
}

#[test]
fn a_killed_company_resumes_too() {
    let place = place("");
    let company = Company::up(&place);
    let gate = company.text("gate");
    let task = company.delegate(&[&format!("@touch {gate}.ready\n@await {gate}\n@say done")]);
    let session = until("its session on the ledger", || {
        let answer = company.status(&task);
        Some(answer.pointer("/task/run/session")?.as_str()?.to_owned())
    });
    let place = company.kill();
    let company = Company::up(&place);
    company.open("gate");
    let answer = company.ended(&task);
    assert_eq!(at(&answer, "task.status"), "completed", "{answer:#}");
    assert_eq!(at(&answer, "task.run.session"), session.as_str());
}

#[test]
fn a_cancel_leaves_nothing_of_it() {
    let company = company("");
    let gate = company.text("gate");
    let task = company.delegate(&[&format!("@trap\n@child\n@touch {gate}.ready\n@await {gate}")]);
    until("the agent", || std::path::Path::new(&format!("{gate}.ready")).exists().then_some(()));
    company.run(&["cancel", &task]).done();
    assert_none(&company.path("data/workspaces"));
    let answer = company.status(&task);
    assert_eq!(at(&answer, "task.status"), "cancelled");
    // What it had come to is known all the same.
    assert!(at(&answer, "task.run.session").is_string(), "{answer:#}");
}
