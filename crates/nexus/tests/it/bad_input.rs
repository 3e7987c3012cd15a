//! Wrong requests: each is refused with a sentence that says what to do, and nothing comes of it.

use rustix::process::Signal;

use crate::support::processes::signal;
use crate::support::{Company, Place, WORK, at};

#[test]
fn unknown_names() {
    let company = Company::with(&[("work", WORK), ("engineering", WORK)]);
    let refused =
        ["there is no department \"enginering\"", "did you mean engineering? (departments: engineering, work)"];
    company.run(&["delegate", "-d", "enginering", "x"]).fails(3, &refused);
    let refused = ["Invalid agent type: clod. Valid options: claude, codex, copilot, gemini, opencode, qwen, shell"];
    company.run(&["delegate", "-a", "clod", "x"]).fails(3, &refused);
    for command in ["status", "logs", "cancel", "retry"] {
        company.run(&[command, "0123abcd"]).fails(3, &["there is no task 0123abcd", "nexus list --all"]);
    }
    let json = company.run(&["-o", "json", "status", "0123abcd"]).fails(3, &[]);
    let error: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(error["exit_code"], 3);
    assert_eq!(at(&company.json(&["list", "--all"]), "total"), 0);
}

#[test]
fn an_agent_that_the_department_does_not_list() {
    let place = Place::with(&[("work", &format!("{WORK}\nagents = [\"other\"]")), ("shells", WORK)]);
    place.write("config/nexus.toml", "[agents.other]\nkind = \"command\"\ncommand = [\"echo\"]\n");
    let company = Company::up(&place);
    let refused = ["the department work does not list the agent shell", "shells"];
    company.run(&["delegate", "-d", "work", "-a", "shell", "x"]).fails(4, &refused);
}

#[test]
fn descriptions_that_are_no_work() {
    let company = Company::new();
    company.run(&["delegate", ""]).fails(2, &["description is empty"]);
    company.run(&["delegate", "  \n"]).fails(2, &["description is empty"]);
    let long = vec![b'x'; 1 << 20];
    company.run_reading(&["delegate", "-"], &long).fails(2, &["at most 131071", "into a file"]);
    company.run_reading(&["run", "-"], &long).fails(2, &["at most 131071"]);
    company.run_reading(&["delegate", "-"], b"").fails(2, &["description is empty"]);
    company.run_reading(&["delegate", "-"], b"\xff\xfe").fails(2, &["standard input"]);
    assert_eq!(at(&company.json(&["list", "--all"]), "total"), 0);
    // The longest that is accepted can be run, too.
    let command = format!("#{}\necho ran", "x".repeat(131_071 - "#\necho ran".len()));
    assert_eq!(company.run_reading(&["run", "-"], command.as_bytes()).done(), "ran\n");
}

#[test]
fn projects_that_hold_a_home_or_the_data() {
    let modes = ["in_place", "copy", "scratch", "clone", "worktree"];
    let departments = modes.map(|mode| (mode, WORK.replace("scratch", mode)));
    let company = Company::with(&departments.each_ref().map(|(mode, text)| (*mode, text.as_str())));
    // The test's directory is the home, and holds the data directory.
    let (home, data) = (company.text(""), company.text("data"));
    for mode in modes {
        for (project, said) in [(home.as_str(), "is a user's home"), ("/", "whole machine"), (&data, "data directory")]
        {
            let refused = [said, "name the directory of one project below it"];
            company.run(&["delegate", "-d", mode, "--project", project, "true"]).fails(4, &refused);
            company.run(&["run", "-d", mode, "--project", project, "true"]).fails(4, &refused);
        }
    }
    assert_eq!(at(&company.json(&["list", "--all"]), "total"), 0);
}

#[test]
fn options_that_can_t_be() {
    let company = Company::new();
    let missing = company.text("missing");
    for (args, said) in [
        (&["--project", &missing][..], &["does not exist", "name a directory"][..]),
        (&["--project", &company.text("log")], &["is not a directory"]),
        (&["--context", "{"], &["context"]),
        (&["--context", "[1]"], &["context"]),
        (&["--timeout", "soon"], &["is not a duration", "\"30m\""]),
        (&["--max-attempts", "0"], &["max-attempts"]),
        (&["--not-before", "tomorrow"], &["not-before"]),
    ] {
        let args: Vec<_> = ["delegate"].iter().chain(args).chain(&["true"]).copied().collect();
        company.run(&args).fails(2, said);
    }
    company.run(&["no-such-command"]).fails(2, &["no-such-command"]);
    assert_eq!(at(&company.json(&["list", "--all"]), "total"), 0);
}

#[test]
fn no_company() {
    let place = Place::new();
    for args in [
        &["status", "0123abcd"][..],
        &["list"],
        &["delegate", "true"],
        &["cancel", "0123abcd"],
        &["departments"],
        &["workers"],
        &["events"],
        &["health"],
        &["history", "rebuild"],
    ] {
        let not_running = format!("the company at {} is not running", place.text("data"));
        place.run(args).fails(6, &[&not_running, "nexus up"]);
    }
    // What a killed company leaves behind is no company.
    let place = Company::up(&place).kill();
    place.run(&["workers"]).fails(6, &["is not running"]);
}

#[test]
fn a_broker_that_does_not_answer() {
    let company = Company::new();
    let broker = company.json(&["broker", "status"])["running"]["pid"].as_u64().unwrap().try_into().unwrap();
    signal(broker, Signal::STOP);
    let said = company.run(&["list"]);
    let doctor = company.run(&["doctor"]);
    signal(broker, Signal::CONT);
    let runs = format!("runs (pid {}), but its broker does not answer", company.pid());
    said.fails(6, &[&runs, "nexus doctor"]);
    doctor.fails_on_stdout(9, &[&runs, &company.text("data/broker/nats.log")]);
    company.run(&["list"]).done();
}

#[test]
fn a_wrong_command_line_is_json_where_json_is_asked_for() {
    let place = Place::new();
    for args in [
        &["-o", "json", "list", "--limit", "none"][..],
        &["list", "--limit", "none", "--output=ndjson"],
        &["list", "-ojson", "--no-such-option"],
        &["prompt", "-o", "json"],
    ] {
        let said = place.run(args).fails(2, &[]);
        let error: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
        assert_eq!(error["exit_code"], 2);
        assert!(!error["error"].as_str().unwrap().contains("error:"), "{error:#}");
    }
    place.run(&["list", "--limit", "none"]).fails(2, &["error: invalid value"]);
    assert!(place.run(&["-o", "json", "--help"]).done().contains("Usage:"));
}
