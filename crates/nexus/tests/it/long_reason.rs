//! A cancel's reason has a bound, and one that is beyond it changes nothing.

use crate::support::{Company, at};

#[test]
fn a_reason_that_is_too_long_is_refused_and_the_task_goes_on() {
    let company = Company::new();
    let id = company.gate("open");
    company.run(&["cancel", &id, "--reason", &"x".repeat(5_000)]).fails(2, &["reason"]);
    assert_eq!(at(&company.status(&id), "task.status"), "running");
    company.open("open");
    assert_eq!(at(&company.ended(&id), "task.status"), "completed");
}

#[test]
fn one_of_usual_length_is_kept() {
    let company = Company::new();
    let id = company.gate("never");
    let reason = "not needed any more";
    company.run(&["cancel", &id, "--reason", reason]).done();
    let answer = company.status(&id);
    assert_eq!(at(&answer, "task.status"), "cancelled");
    assert_eq!(at(&answer, "task.error"), reason);
}
