//! Attempts that fail are tried again, as often as the department says.

use crate::support::{Company, WORK, at};

fn company() -> Company {
    let retry = "[retry]\nmax_attempts = 2\nbackoff = { initial = \"100ms\", jitter = 0.0 }\n";
    Company::with(&[("work", &format!("{WORK}\n{retry}"))])
}

#[test]
fn twice_failed_is_failed() {
    let company = company();
    let id = company.delegate(&["echo attempt $NEXUS_ATTEMPT; exit 1"]);
    let answer = company.ended(&id);
    assert_eq!(at(&answer, "task.status"), "failed");
    assert_eq!(at(&answer, "task.attempt"), 2);
    let log = company.json(&["logs", &id]);
    let lines = log.as_array().unwrap();
    assert!(lines.iter().zip(1_u64..).all(|(line, n)| line["seq"] == n), "{log:#}");
    let said: Vec<_> = lines.iter().filter(|line| line["stream"] == "stdout").map(|line| &line["text"]).collect();
    assert_eq!(said, ["attempt 1", "attempt 2"]);
    assert!(company.run(&["status", &id]).done().contains("attempt 2"));
}

#[test]
fn a_second_attempt_may_succeed() {
    let company = company();
    let ran = company.run(&["run", "echo attempt $NEXUS_ATTEMPT; test $NEXUS_ATTEMPT = 2"]);
    assert!(ran.stderr.contains("attempt 1") && ran.stderr.contains("attempt 2"), "{}", ran.stderr);
    assert_eq!(ran.done(), "attempt 2\n");
}

#[test]
fn a_task_s_own_number_wins() {
    let company = company();
    let id = company.delegate(&["--max-attempts", "1", "exit 1"]);
    assert_eq!(at(&company.ended(&id), "task.attempt"), 1);
}

#[test]
fn a_retry_that_waits_can_be_cancelled() {
    let retry = "[retry]\nmax_attempts = 2\nbackoff = { initial = \"1h\", max = \"1h\" }\n";
    let company = Company::with(&[("work", &format!("{WORK}\n{retry}"))]);
    let id = company.delegate(&["exit 1"]);
    let answer = crate::support::processes::until("the backoff", || {
        Some(company.status(&id)).filter(|answer| !at(answer, "task.not_before").is_null())
    });
    assert_eq!(at(&answer, "task.status"), "queued");
    assert_eq!(at(&answer, "task.attempt"), 1);
    assert!(company.run(&["list"]).done().contains("again at"));
    let answer = company.json(&["cancel", &id]);
    assert_eq!(at(&answer, "was"), "queued");
    assert_eq!(at(&company.status(&id), "task.status"), "cancelled");
}
