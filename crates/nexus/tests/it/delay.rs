//! A task that is not to start before a time waits for it, and can be cancelled until then.

use crate::support::processes::until;
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

#[test]
fn a_time_that_no_schedule_can_hold_is_refused_and_never_comes_at_once() {
    let never = "[retry]\nmax_attempts = 2\nbackoff = { initial = \"100000d\", factor = 1.0, max = \"100000d\", jitter = 0.0 }\n";
    let company = Company::with(&[("work", &format!("{WORK}{never}"))]);
    for far in ["2262-01-01T00:00:01Z", "2262-04-11T23:47:17Z", "9998-12-31T00:00:00Z"] {
        let refused = company.run(&["delegate", "--not-before", far, "true"]);
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains("2262-01-01T00:00:00Z"), "{}", refused.stderr);
    }
    // The last one that can be held is far away, and so is a retry that would be due after it.
    let last = company.delegate(&["--not-before", "2262-01-01T00:00:00Z", "true"]);
    let retried = company.delegate(&["exit 1"]);
    let waiting = until("the retry waits", || {
        let status = company.status(&retried);
        (!at(&status, "task.not_before").is_null()).then_some(status)
    });
    assert_eq!(at(&waiting, "task.not_before"), "2262-01-01T00:00:00Z");
    // A task that is delegated later has ended: the broker has looked at its schedules meanwhile.
    company.ended(&company.delegate(&["--not-before", &due(2), "true"]));
    assert_eq!(at(&company.status(&last), "task.status"), "queued");
    let status = company.status(&retried);
    assert_eq!((at(&status, "task.status"), at(&status, "task.attempt")), (&"queued".into(), &1.into()));
}
