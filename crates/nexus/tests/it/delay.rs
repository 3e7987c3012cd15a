//! A task that is not to start before a time waits for it, and can be cancelled until then.

use crate::support::{Company, WORK, at};

fn due(seconds: i64) -> String {
    let due = jiff::Timestamp::now().as_second() + seconds;
    jiff::Timestamp::from_second(due).unwrap().to_string()
}

#[test]
fn a_delayed_task_starts_when_it_is_due() {
    let company = Company::with(&[("work", WORK)]);
    let due = due(2);
    let id = company.delegate(&["--not-before", &due, "echo on time"]);
    // Known at once, and said to wait.
    let waiting = company.status(&id);
    assert_eq!(at(&waiting, "task.status"), "queued");
    assert_eq!(at(&waiting, "task.not_before"), due.as_str());
    let answer = company.ended(&id);
    assert_eq!(at(&answer, "task.status"), "completed");
    let started: jiff::Timestamp = at(&answer, "task.started_at").as_str().unwrap().parse().unwrap();
    assert!(started >= due.parse().unwrap(), "{started} is before {due}");
    assert!(at(&answer, "task.not_before").is_null());
    // A history made anew says the same.
    company.run(&["history", "rebuild"]).done();
    assert_eq!(at(&company.status(&id), "task"), at(&answer, "task"));
}

#[test]
fn a_delayed_task_can_be_cancelled_and_is_one_task() {
    let company = Company::with(&[("work", WORK)]);
    let due = due(3600);
    let task = ["--not-before", &due, "--idempotency-key", "nightly", "true"];
    let id = company.delegate(&task);
    assert_eq!(company.delegate(&task), id);
    assert_eq!(at(&company.json(&["cancel", &id]), "was"), "queued");
    assert_eq!(at(&company.status(&id), "task.status"), "cancelled");
    assert_eq!(company.delegate(&task), id);
    assert_eq!(at(&company.status(&id), "task.status"), "cancelled");
}
