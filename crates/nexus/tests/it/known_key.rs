//! A key that is known: for the same work its task, for other work a refusal.

use crate::support::{Company, WORK, at};

#[test]
fn other_work_is_refused() {
    let company = Company::new();
    let id = company.delegate(&["--idempotency-key", "k", "echo once"]);
    company.ended(&id);
    let said = [id.as_str(), "asks for something else", "a key of its own"];
    company.run(&["delegate", "--idempotency-key", "k", "echo twice"]).fails(4, &said);
    company.run(&["delegate", "--idempotency-key", "k", "-t", "testing", "echo once"]).fails(4, &said);
    assert_eq!(at(&company.json(&["list", "--all"]), "total"), 1);
}

#[test]
fn a_full_department_still_knows_its_tasks() {
    let work = WORK.replace("workers = 2", "workers = 1\nqueue.max_waiting = 1");
    let company = Company::with(&[("work", &work)]);
    let busy = company.gate("open");
    let waiting = company.delegate(&["--idempotency-key", "k", "true"]);
    company.run(&["delegate", "true"]).fails(4, &["is busy"]);
    let again = company.json(&["delegate", "--idempotency-key", "k", "true"]);
    assert_eq!(at(&again, "task_id"), waiting.as_str());
    assert_eq!(at(&again, "duplicate"), true);
    company.run(&["delegate", "--idempotency-key", "other", "true"]).fails(4, &["is busy"]);
    company.open("open");
    company.becomes(&busy, "completed");
    company.becomes(&waiting, "completed");
}
