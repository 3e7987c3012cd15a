//! Several tasks at once, parts of a log, and why a task has failed.

use crate::support::processes::until;
use crate::support::{Company, WORK, at};

#[test]
fn each_of_several_is_answered_and_the_worst_code_is_returned() {
    let company = Company::new();
    let (one, two) = (company.gate("never"), company.gate("never"));
    let ran = company.run(&["cancel", &one, "0123abcd", &two]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("there is no task 0123abcd"), "{ran:?}");
    for id in [&one, &two] {
        assert!(ran.stdout.contains(&format!("cancelled  {id}")), "{ran:?}");
        assert_eq!(at(&company.status(id), "task.status"), "cancelled");
    }
    let answers = company.json(&["status", &one, &two]);
    let ids: Vec<_> = answers.as_array().unwrap().iter().map(|answer| at(answer, "task.task_id").clone()).collect();
    assert_eq!(ids, [one.as_str(), two.as_str()]);
    company.open("never");
    let said = company.run(&["retry", &one, &two]).done();
    assert_eq!(said, format!("queued  {one} in work\nqueued  {two} in work\n"));
    company.ended(&one);
    company.ended(&two);
}

#[test]
fn several_are_cancelled_at_once() {
    let company = Company::with(&[("work", &WORK.replace("interrupt_grace = \"300ms\"", "interrupt_grace = \"4s\""))]);
    let deaf = "trap '' INT; echo up; while :; do sleep 0.1; done";
    let ids = [company.delegate(&[deaf]), company.delegate(&[deaf])];
    ids.iter().for_each(|id| assert_eq!(company.follow(&["logs", "-f", id]).line(), "up"));
    let cancel = company.start(&["cancel", &ids[0], &ids[1]]);
    until("both being cancelled", || {
        ids.iter().all(|id| at(&company.status(id), "task.cancelling") == true).then_some(())
    });
    assert_eq!(cancel.end().done().lines().count(), 2);
}

#[test]
fn parts_of_a_log() {
    let company = Company::with(&[(
        "work",
        &format!("{WORK}retry = {{ max_attempts = 2, commands = 2, backoff = {{ initial = \"10ms\" }} }}\n"),
    )]);
    let id = company.delegate(&["seq 1 5; echo attempt $NEXUS_ATTEMPT; exit 1"]);
    company.ended(&id);
    assert_eq!(company.run(&["logs", "--tail", "1", "--attempt", "1", &id]).done().lines().count(), 1);
    let first = company.run(&["logs", "--attempt", "1", &id]).done();
    assert!(first.contains("attempt 1\n") && !first.contains("attempt 2\n"), "{first}");
    let last = company.run(&["logs", "-n", "2", "-f", "--attempt", "2", &id]).done();
    assert_eq!(last, "5\nattempt 2\n");
    let lines = company.json(&["logs", &id]);
    assert!(lines.as_array().unwrap().iter().any(|line| line["attempt"] == 2), "{lines:#}");
    assert_eq!(company.run(&["logs", "--since", "2100-01-01", &id]).done(), "");
    let timed = company.run(&["logs", "--timestamps", "-n", "1", "--since", "1h", &id]).done();
    assert!(timed.starts_with("20") && timed.contains("Z  "), "{timed}");
}

#[test]
fn why_it_failed_is_told() {
    let company = Company::with(&[(
        "work",
        &format!("{WORK}retry = {{ max_attempts = 2, commands = 2, backoff = {{ initial = \"10ms\" }} }}\n"),
    )]);
    let id = company.delegate(&["seq 1 9 >&2; exit $((NEXUS_ATTEMPT + 4))\n# the second line"]);
    company.ended(&id);
    let said = company.run(&["status", &id]).done();
    for words in [
        "  attempts   1: shell, the agent ended with exit code 5 (",
        "\n             2: shell, the agent ended with exit code 6 (",
        "  stderr     5\n             6\n             7\n             8\n             9\n",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("the second line"), "{said}");
    assert!(company.run(&["status", &id, "--full"]).done().contains("\n# the second line\n"));
    let said = company.run(&["list", "--all"]).done();
    assert!(said.contains("REASON") && said.contains("the agent ended with exit code 6"), "{said}");
}
