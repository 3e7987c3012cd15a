//! A department that is full says so, and loses nothing.

use crate::support::{Company, WORK, at};

#[test]
fn the_fourth_that_waits_is_refused() {
    let work = WORK.replace("workers = 2", "workers = 1\nqueue.max_waiting = 3");
    let company = Company::with(&[("work", &work)]);
    let busy = company.gate("open");
    let ran = company.text("ran");
    let mut waiting: Vec<_> = (0..3).map(|n| company.delegate(&[&format!("echo {n} >> {ran}")])).collect();
    let refused = ["the department work is busy: 3 tasks wait, and its bound is 3", "max_waiting"];
    company.run(&["delegate", "true"]).fails(4, &refused);
    company.run(&["run", "true"]).fails(4, &refused);
    assert_eq!(at(&company.json(&["list"]), "total"), 4);
    // One that is cancelled makes room, and so does one that is done.
    company.run(&["cancel", &waiting.pop().unwrap()]).done();
    waiting.push(company.delegate(&[&format!("echo 2 >> {ran}")]));
    company.run(&["delegate", "true"]).fails(4, &["is busy"]);
    company.open("open");
    company.ended(&busy);
    waiting.iter().for_each(|id| drop(company.becomes(id, "completed")));
    waiting.push(company.delegate(&[&format!("echo 3 >> {ran}")]));
    company.ended(&waiting[3]);
    assert_eq!(company.read("ran"), "0\n1\n2\n3\n");
}

#[test]
fn the_bound_holds_when_many_come_at_once() {
    let work = WORK.replace("workers = 2", "workers = 1\nqueue.max_waiting = 3");
    let company = Company::with(&[("work", &work)]);
    company.gate("open");
    let all: Vec<_> = (0..10).map(|_| company.start(&["delegate", "true"])).collect();
    let codes: Vec<_> = all.into_iter().map(|one| one.end().code.unwrap()).collect();
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 3, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == 4).count(), 7, "{codes:?}");
    company.open("open");
}
