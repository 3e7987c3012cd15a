//! The same key is the same task.

use rustix::process::Signal;

use crate::support::{Company, at};

#[test]
fn the_same_key_twice_runs_once() {
    let company = Company::new();
    let command = format!("echo x >> {}", company.text("count"));
    let first = company.delegate(&["--idempotency-key", "k", &command]);
    company.ended(&first);
    let again = company.json(&["delegate", "--idempotency-key", "k", &command]);
    assert_eq!(at(&again, "task_id"), first.as_str());
    assert_eq!(at(&again, "duplicate"), true);
    let other = company.delegate(&["--idempotency-key", "other", &command]);
    assert_ne!(first, other);
    company.ended(&other);
    assert_eq!(company.read("count"), "x\nx\n");
    // Not only within a window: after a restart too.
    let company = Company::up(&company.stop());
    assert_eq!(company.delegate(&["--idempotency-key", "k", &command]), first);
    company.ended(&company.delegate(&["true"]));
    assert_eq!(company.read("count"), "x\nx\n");
}

#[test]
fn at_once_too() {
    let company = Company::new();
    let command = format!("echo x >> {}", company.text("count"));
    let all: Vec<_> = (0..8).map(|_| company.start(&["delegate", "--idempotency-key", "k", &command])).collect();
    let mut ids: Vec<_> = all.into_iter().map(|one| one.end().done()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    company.ended(ids[0].trim());
    company.ended(&company.delegate(&["true"]));
    assert_eq!(company.read("count"), "x\n");
}

#[test]
fn a_run_with_a_known_key_shows_what_was() {
    let company = Company::new();
    assert_eq!(company.run(&["run", "--idempotency-key", "k", "echo once"]).done(), "once\n");
    assert_eq!(company.run(&["run", "--idempotency-key", "k", "echo once"]).done(), "once\n");
}

#[test]
fn a_known_key_is_said_and_another_s_task_outlives_the_run() {
    let company = Company::new();
    let command = format!("until [ -e {} ]; do sleep 0.02; done", company.text("open"));
    let id = company.delegate(&["--idempotency-key", "k", &command]);
    company.becomes(&id, "running");
    let said = format!("this key is known: task {id} (work)");
    let again = company.run(&["delegate", "--idempotency-key", "k", &command]);
    assert!(again.stderr.contains(&said), "{}", again.stderr);
    assert_eq!(again.done().trim(), id);
    let mut run = company.start(&["run", "--idempotency-key", "k", &command]);
    assert!(run.says().contains(&said));
    run.signal(Signal::INT);
    run.end().fails(130, &["nexus cancel"]);
    assert_eq!(at(&company.status(&id), "task.status"), "running");
    company.open("open");
    assert_eq!(at(&company.ended(&id), "task.status"), "completed");
}
