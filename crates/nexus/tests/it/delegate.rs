//! `nexus delegate` and `nexus status`: where work goes, and how it is named.

use serde_json::json;

use crate::support::{Company, WORK, at};

#[test]
fn an_explicit_department_wins_then_the_type_then_the_default() {
    let other = format!("{WORK}\ntask_types = [\"testing\"]");
    let company = Company::with(&[("work", &format!("{WORK}\ntask_types = [\"planning\"]")), ("other", &other)]);
    for (args, department) in [
        (&["-d", "work", "-t", "testing", "true"][..], "work"),
        (&["-t", "testing", "true"], "other"),
        (&["-t", "planning", "true"], "work"),
        (&["-t", "unheard-of", "true"], "other"),
    ] {
        let args: Vec<_> = ["delegate"].iter().chain(args).copied().collect();
        let accepted = company.json(&args);
        assert_eq!(at(&accepted, "department"), department, "{args:?}");
        assert_eq!(at(&accepted, "duplicate"), false);
        let id = at(&accepted, "task_id").as_str().unwrap();
        assert_eq!(at(&company.ended(id), "task.department"), department);
    }
}

#[test]
fn a_task_is_given_in_words_too() {
    let company = Company::new();
    for args in [&["echo", "one", "two"][..], &["--", "echo", "one", "two"]] {
        let args: Vec<_> = ["run", "--agent", "shell"].iter().chain(args).copied().collect();
        assert_eq!(company.run(&args).done(), "one two\n", "{args:?}");
    }
    company.run(&["run", "--agent", "shell", "--", "test", "-e", "/"]).done();
    company.run(&["run"]).fails(2, &["<DESCRIPTION>"]);
}

#[test]
fn it_does_not_wait_and_status_tells_everything() {
    let company = Company::new();
    let id = company.delegate(&["--priority", "7", "--max-attempts", "1", "echo out; echo err >&2; exit 3"]);
    let answer = company.ended(&id);
    let task = at(&answer, "task");
    for (path, value) in [
        ("task_id", json!(id)),
        ("status", json!("failed")),
        ("department", json!("work")),
        ("task_type", json!("code_generation")),
        ("description", json!("echo out; echo err >&2; exit 3")),
        ("project_path", json!(company.text("project"))),
        ("priority", json!(7)),
        ("assigned_agent", json!("shell")),
        ("attempt", json!(1)),
        ("max_attempts", json!(1)),
        ("interruptions", json!(0)),
        ("result.exit_code", json!(3)),
        ("result.output", json!("out\n")),
        ("result.error_output", json!("err\n")),
        ("result.truncated", json!(false)),
    ] {
        assert_eq!(at(task, path), &value, "{path}");
    }
    assert!(at(task, "error").as_str().unwrap().contains('3'), "{task:#}");
    for time in ["created_at", "started_at", "completed_at", "updated_at"] {
        assert!(at(task, time).as_str().unwrap().ends_with('Z'), "{time}");
    }
    let said = company.run(&["status", &id]).done();
    for words in ["exit 3", "attempt 1 of 1", "shell", &format!("nexus retry {id}")] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn a_running_task_shows_its_process() {
    let company = Company::new();
    let id = company.delegate(&["echo hello; sleep 600 & wait"]);
    let answer = crate::support::processes::until("its line", || {
        Some(company.status(&id)).filter(|answer| answer.pointer("/live/last_line").is_some_and(|line| line == "hello"))
    });
    assert!(at(&answer, "live.pid").as_u64().unwrap() > 0);
    assert!(at(&answer, "live.processes").as_u64().unwrap() >= 2, "{answer:#}");
    let workers = company.json(&["workers"]);
    let busy: Vec<_> = at(&workers, "workers").as_array().unwrap().iter().filter(|w| w["is_busy"] == true).collect();
    assert_eq!(busy.len(), 1);
    assert_eq!(busy[0]["current_task"], json!(id));
    let said = company.run(&["workers"]).done();
    assert!(said.contains(&id), "{said}");
    company.run(&["cancel", &id]).done();
}

#[test]
fn ids_can_be_shortened() {
    let company = Company::new();
    let id = company.delegate(&["true"]);
    company.ended(&id);
    assert_eq!(at(&company.status(&id[..8]), "task.task_id"), &json!(id));
    company.run(&["logs", &id[..8]]).done();
    company.run(&["status", "00000000"]).fails(3, &["there is no task 00000000", "nexus list --all"]);
    company.run(&["status", &id[..1]]).fails(3, &["there is no task"]);
}
