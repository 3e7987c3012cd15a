//! Prose is never run as a command: `shell` takes what names it, and what says that it is a command.

use std::sync::Arc;

use crate::support::processes::until;
use crate::support::{Company, Place, WORK, at};

/// As it is for users: what this suite's other tests ask for are commands all.
const AS_USUAL: [(&str, &str); 1] = [("NEXUS_AGENTS__SHELL__COMMANDS", "true")];

/// A department of a coding agent and, behind it, `shell`.
fn place(program: &str) -> Arc<Place> {
    let place = Place::with(&[("work", &format!("agents = [\"coder\", \"shell\"]\n{WORK}"))]);
    let agents = format!("shutdown_grace = \"300ms\"\n[agents.coder]\nkind = \"codex\"\ncommand = [{program}]\n");
    place.write("config/nexus.toml", &agents);
    place
}

#[test]
fn without_a_coding_agent_prose_is_refused_and_commands_are_run() {
    let company = Company::up_with(&place("\"no-such-program-anywhere\""), &[], &AS_USUAL);
    let pwned = company.text("pwned");
    let prose = format!("touch {pwned}");
    let words = [
        "no coding agent is installed, and \"shell\" runs commands, not prose",
        "nexus doctor says how to get one; for a command: --agent shell",
    ];
    company.run(&["delegate", &prose]).fails(4, &words);
    company.run(&["run", &prose]).fails(4, &words);
    company.run(&["delegate", "-d", "work", &prose]).fails(4, &words);
    company.run(&["delegate", "-a", "coder", &prose]).fails(4, &["the agent coder is not installed"]);
    assert_eq!(at(&company.json(&["list", "--all"]), "total"), 0);
    assert!(!company.path("pwned").exists());
    assert_eq!(company.run(&["run", "-a", "shell", "echo named"]).done(), "named\n");
    assert_eq!(company.run(&["run", "-t", "command", "echo typed"]).done(), "typed\n");
}

#[test]
fn while_the_coding_agent_s_account_is_closed_prose_waits_and_commands_are_run() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/scripted_agent.py");
    let company = Company::up_with(&place(&format!("\"python3\", {script:?}")), &[], &AS_USUAL);
    let limited = company.delegate(&["@failed rate limit reached: try again in 1 hour"]);
    let waiting = |task: &str| {
        until("a task that is put off", || {
            Some(company.status(task)).filter(|answer| !at(answer, "task.not_before").is_null())
        })
    };
    let answer = waiting(&limited);
    assert_eq!(at(&answer, "task.status"), "queued");
    assert!(at(&answer, "task.error").as_str().unwrap().starts_with("coder: rate limit until "), "{answer:#}");
    let prose = company.delegate(&[&format!("touch {}", company.text("pwned"))]);
    assert_eq!(at(&waiting(&prose), "task.attempt"), 0);
    assert_eq!(company.run(&["run", "-a", "shell", "echo meanwhile"]).done(), "meanwhile\n");
    assert_eq!(at(&company.status(&prose), "task.status"), "queued");
    assert!(!company.path("pwned").exists());
}

#[test]
fn a_refused_key_leaves_nothing_to_the_shell() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/scripted_agent.py");
    let company = Company::up_with(&place(&format!("\"python3\", {script:?}")), &[], &AS_USUAL);
    let refused = company.delegate(&["@failed 401 Unauthorized: invalid api key"]);
    let answer = company.ended(&refused);
    assert_eq!((at(&answer, "task.status"), at(&answer, "task.assigned_agent")), (&"failed".into(), &"coder".into()));
}

#[test]
fn a_command_is_tried_once_unless_more_is_asked_for() {
    let retry = "[retry]\nmax_attempts = 3\ncommands = 1\nbackoff = { initial = \"10ms\", jitter = 0.0 }\n";
    let place = Place::with(&[("work", &format!("{WORK}\n{retry}"))]);
    let company = Company::up_with(&place, &[], &AS_USUAL);
    let attempts = |args: &[&str]| {
        let id = company.delegate(&[&["-a", "shell", "exit 2"], args].concat());
        at(&company.ended(&id), "task.attempt").clone()
    };
    assert_eq!(attempts(&[]), 1);
    assert_eq!(attempts(&["--max-attempts", "2"]), 2);
    let ran = company.run(&["run", "-a", "shell", "--max-attempts", "2", "exit 2"]);
    ran.fails(8, &["-- attempt 1 of 2 failed: exit code 2; again in 0.1 s", "failed   after 2 attempts, "]);
}
