//! `nexus retry`: a failed task by hand, once more.

use crate::support::{Company, at};

#[test]
fn a_failed_task_runs_again() {
    let company = Company::new();
    let fixed = company.text("fixed");
    let id = company.delegate(&[&format!("test -e {fixed}")]);
    assert_eq!(at(&company.ended(&id), "task.status"), "failed");
    company.write("fixed", "");
    let said = company.run(&["retry", &id[..8]]).done();
    assert_eq!(said, format!("queued  {id} in work\n"));
    let answer = company.becomes(&id, "completed");
    assert_eq!(at(&answer, "task.attempt"), 1);
    assert!(at(&answer, "task.error").is_null());
}

#[test]
fn a_cancelled_task_runs_again() {
    let company = Company::new();
    let id = company.gate("open");
    company.run(&["cancel", &id]).done();
    company.open("open");
    company.run(&["retry", &id]).done();
    company.becomes(&id, "completed");
}

#[test]
fn others_are_refused() {
    let company = Company::new();
    let done = company.delegate(&["true"]);
    company.ended(&done);
    company.run(&["retry", &done]).fails(4, &["was completed", "delegate it anew"]);
    let running = company.gate("open");
    company.run(&["retry", &running]).fails(4, &["has not ended"]);
    company.run(&["retry", "0123abcd"]).fails(3, &["there is no task"]);
    company.open("open");
}
