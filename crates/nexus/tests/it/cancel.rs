//! `nexus cancel`: nothing is left when it answers.

use crate::support::processes::{marked, until};
use crate::support::{Company, WORK, at};

#[test]
fn a_waiting_task_never_runs() {
    let company = Company::with(&[("work", &WORK.replace("workers = 2", "workers = 1"))]);
    let first = company.gate("open");
    let waiting = company.delegate(&[&format!("touch {}", company.text("ran"))]);
    let answer = company.json(&["cancel", &waiting, "--reason", "not needed"]);
    assert_eq!(at(&answer, "was"), "queued");
    company.open("open");
    company.ended(&first);
    // A later one has passed the place where it would have been.
    company.ended(&company.delegate(&["true"]));
    let answer = company.status(&waiting);
    assert_eq!(at(&answer, "task.status"), "cancelled");
    assert_eq!(at(&answer, "task.error"), "not needed");
    assert!(!company.path("ran").exists());
}

#[test]
fn a_running_task_is_gone_when_the_answer_comes() {
    let company = Company::new();
    let id = company.delegate(&["echo up; sleep 600"]);
    company.follow(&["logs", "-f", &id]).line();
    let said = company.run(&["cancel", &id[..8]]).done();
    assert!(said.starts_with(&format!("cancelled  {id}: no process of it is left; it took ")), "{said}");
    assert_eq!(marked(&format!("NEXUS_TASK_ID={id}")), []);
    assert_eq!(at(&company.status(&id), "task.status"), "cancelled");
}

#[test]
fn an_agent_that_won_t_listen_and_its_children_are_killed() {
    let company = Company::new();
    let stubborn = "trap '' INT TERM; (trap '' INT TERM; while :; do sleep 1; done) & \
                    sh -c 'trap \"\" INT TERM; while :; do sleep 1; done' & echo up; while :; do sleep 1; done";
    let id = company.delegate(&[stubborn]);
    company.follow(&["logs", "-f", &id]).line();
    let mark = format!("NEXUS_TASK_ID={id}");
    until("its children", || (marked(&mark).len() >= 3).then_some(()));
    let answer = company.json(&["cancel", &id]);
    assert_eq!(marked(&mark), []);
    assert_eq!(at(&answer, "was"), "running");
    // Both graces were given.
    assert!(at(&answer, "took_ms").as_u64().unwrap() >= 600, "{answer:#}");
    let log = company.run(&["logs", &id]).done();
    assert!(log.contains("cancel"), "{log}");
}

#[test]
fn what_has_ended_can_t_be_cancelled() {
    let company = Company::new();
    let done = company.delegate(&["true"]);
    company.ended(&done);
    company.run(&["cancel", &done]).fails(4, &["is completed already"]);
    let running = company.gate("never");
    company.run(&["cancel", &running]).done();
    company.run(&["cancel", &running]).fails(4, &["is cancelled already"]);
    company.run(&["cancel", "0123abcd"]).fails(3, &["there is no task 0123abcd"]);
}

#[test]
fn two_cancels_at_once_are_both_answered() {
    let company = Company::new();
    let id = company.delegate(&["trap '' INT; echo up; while :; do sleep 0.1; done"]);
    company.follow(&["logs", "-f", &id]).line();
    let (one, two) = (company.start(&["cancel", &id]), company.start(&["cancel", &id]));
    let codes = [one.end(), two.end()];
    assert!(codes.iter().any(|ran| ran.code == Some(0)), "{codes:?}");
    assert!(codes.iter().all(|ran| matches!(ran.code, Some(0 | 4))), "{codes:?}");
    assert_eq!(at(&company.status(&id), "task.status"), "cancelled");
}
