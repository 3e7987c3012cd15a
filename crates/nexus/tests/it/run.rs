//! `nexus run`: the log on standard error, the result on standard output, the exit code by the outcome.

use rustix::process::Signal;

use crate::support::processes::{assert_none, until};
use crate::support::{Company, Place, at};

#[test]
fn without_a_company_it_runs_one_meanwhile() {
    let place = Place::new();
    let ran = place.run(&["run", "echo result; echo story >&2"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "result\n"), "{}", ran.stderr);
    for words in ["started for this run: work 2", "         result\n", "         story\n", "exit 0"] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    assert_none(&place.path(""));
}

#[test]
fn a_failing_task_is_exit_8() {
    let place = Place::new();
    let ran = place.run(&["run", "echo before; exit 5"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(8), "before\n"), "{}", ran.stderr);
    assert!(ran.stderr.contains("exit 5"), "{}", ran.stderr);
}

#[test]
fn json_is_one_document() {
    let place = Place::new();
    let answer = place.json(&["run", "echo result"]);
    assert_eq!(at(&answer, "task.status"), "completed");
    assert_eq!(at(&answer, "task.result.output"), "result\n");
    assert_eq!(at(&answer, "task.result.exit_code"), 0);
}

#[test]
fn a_dash_reads_the_description() {
    let place = Place::new();
    let ran = place.run_reading(&["run", "-"], b"echo one\necho two\n");
    assert_eq!(ran.done(), "one\ntwo\n");
}

#[test]
fn ctrl_c_cancels() {
    let place = Place::new();
    let run = place.start(&["run", &format!("touch {}; sleep 600", place.text("started"))]);
    until("the task's start", || place.path("started").exists().then_some(()));
    run.signal(Signal::INT);
    let ran = run.end();
    ran.fails(130, &["cancelled"]);
    assert_none(&place.path(""));
    // It is cancelled, not left in the queue for the next company.
    let company = Company::up(&place);
    let page = company.json(&["list", "--all"]);
    assert_eq!(at(&page, "tasks.0.status"), "cancelled");
}

#[test]
fn sigterm_cancels_too() {
    let place = Place::new();
    let run = place.start(&["run", &format!("touch {}; sleep 600", place.text("started"))]);
    until("the task's start", || place.path("started").exists().then_some(()));
    run.signal(Signal::TERM);
    run.end().fails(130, &["cancelled"]);
    assert_none(&place.path(""));
}

#[test]
fn a_company_that_stops_is_said_and_the_task_is_kept() {
    let company = Company::new();
    let started = company.text("started");
    let run = company
        .start(&["run", &format!("touch {started}; until [ -e {} ]; do sleep 0.02; done", company.text("open"))]);
    until("the task's start", || company.path("started").exists().then_some(()));
    let place = company.stop_only();
    let said = run.end().fails(6, &["error: the company has stopped; task ", "it goes on with the next `nexus up`"]);
    assert!(!said.contains("the connection"), "{said}");
    assert_none(&place.path(""));
    place.write("open", "");
    let company = Company::up(&place);
    let id = at(&company.json(&["list", "--all"]), "tasks.0.task_id").as_str().unwrap().to_owned();
    assert_eq!(at(&company.ended(&id), "task.status"), "completed");
}

#[test]
fn it_attaches_to_a_company_that_runs() {
    let company = Company::new();
    let ran = company.run(&["run", "echo here"]);
    assert!(!ran.stderr.contains("started for this run"), "{}", ran.stderr);
    assert_eq!(ran.done(), "here\n");
    let page = company.json(&["list", "--all"]);
    assert_eq!(at(&page, "total"), 1);
    assert_eq!(company.run(&["health"]).done(), "ok\n");
}

#[test]
fn ctrl_c_leaves_the_others_running() {
    let company = Company::new();
    let other = company.gate("open");
    let run = company.start(&["run", &format!("touch {}; sleep 600", company.text("started"))]);
    until("the task's start", || company.path("started").exists().then_some(()));
    run.signal(Signal::INT);
    run.end().fails(130, &["cancelled"]);
    assert_eq!(at(&company.status(&other), "task.status"), "running");
    company.open("open");
    assert_eq!(at(&company.ended(&other), "task.status"), "completed");
}

/// One of them starts a company; the others find it, or start one of their own when it has gone.
#[test]
fn several_at_once_all_get_their_result() {
    let place = Place::new();
    let runs: Vec<_> = (0..4).map(|n| place.start(&["run", &format!("sleep 0.{n}; echo {n}")])).collect();
    for (n, run) in runs.into_iter().enumerate() {
        assert_eq!(run.end().done(), format!("{n}\n"));
    }
    assert_none(&place.path(""));
}
