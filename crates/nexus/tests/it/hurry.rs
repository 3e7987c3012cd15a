//! A stop gives agents their grace; a second signal doesn't.

use std::time::Instant;

use rustix::process::Signal;

use crate::support::processes::{assert_none, signal, until};
use crate::support::{Company, Place, at};

#[test]
fn an_agent_may_finish_within_its_grace() {
    let place = Place::new();
    place.write("config/nexus.toml", "shutdown_grace = \"30s\"\n");
    let mut company = Company::up(&place);
    let id = company.gate("open");
    signal(company.pid(), Signal::TERM);
    until("the refusal of work", || (company.run(&["delegate", "true"]).code == Some(6)).then_some(()));
    // What becomes of the work can be asked to the end.
    assert_eq!(at(&company.status(&id), "task.status"), "running");
    let said = company.run(&["doctor"]).done();
    assert!(said.contains("it is stopping, and takes no more work"), "{said}");
    company.open("open");
    assert_eq!(company.wait(), Some(0));
    drop(company);
    let company = Company::up(&place);
    let answer = company.status(&id);
    assert_eq!(at(&answer, "task.status"), "completed");
    assert_eq!(at(&answer, "task.interruptions"), 0);
}

#[test]
fn a_second_signal_hurries() {
    for second in [Signal::INT, Signal::TERM] {
        hurries(second);
    }
}

fn hurries(second: Signal) {
    let place = Place::new();
    place.write("config/nexus.toml", "shutdown_grace = \"10m\"\n");
    let mut company = Company::up(&place);
    let id = company.gate("never");
    let begin = Instant::now();
    signal(company.pid(), Signal::TERM);
    until("the refusal of work", || (company.run(&["delegate", "true"]).code == Some(6)).then_some(()));
    assert!(company.wait_now().is_none());
    signal(company.pid(), second);
    assert_eq!(company.wait(), Some(0));
    assert!(begin.elapsed().as_secs() < 30);
    assert_none(&place.path(""));
    drop(company);
    place.write("never", "");
    let company = Company::up(&place);
    assert_eq!(at(&company.ended(&id), "task.interruptions"), 1);
}
