//! Workers come and go with the configuration, and no task is interrupted for it.

use crate::support::processes::until;
use crate::support::{Company, WORK, at};

fn workers(n: u32) -> String {
    WORK.replace("workers = 2", &format!("workers = {n}"))
}

fn has(company: &Company, n: u32) {
    until(&format!("{n} workers"), || (company.says_of("work").unwrap()["workers"] == n).then_some(()));
}

#[test]
fn fewer_idle_workers_interrupt_nobody() {
    let company = Company::with(&[("work", &workers(3))]);
    for _ in 0..3 {
        company.department("work", &workers(1));
        has(&company, 1);
        let tasks: Vec<_> = (0..3).map(|_| company.delegate(&["true"])).collect();
        for id in &tasks {
            let answer = company.becomes(id, "completed");
            assert_eq!(at(&answer, "task.interruptions"), 0, "{answer:#}");
            assert_eq!(at(&answer, "task.attempt"), 1);
        }
        company.department("work", &workers(3));
        has(&company, 3);
    }
}

#[test]
fn a_department_whose_file_is_back_takes_work_at_once() {
    let company = Company::with(&[("work", WORK), ("extra", WORK)]);
    let gate = format!("until [ -e {} ]; do sleep 0.02; done", company.text("open"));
    let held = company.delegate(&["-d", "extra", &gate]);
    company.becomes(&held, "running");
    std::fs::remove_file(company.path("config/departments/extra.toml")).unwrap();
    until("it leaves", || company.says_of("extra").filter(|extra| extra["state"] == "leaving"));
    company.department("extra", WORK);
    until("it is back", || company.says_of("extra").filter(|extra| extra["state"] == "running"));
    // While the other worker is still held.
    let new = company.delegate(&["-d", "extra", "true"]);
    company.becomes(&new, "completed");
    assert_eq!(at(&company.status(&held), "task.status"), "running");
    assert_eq!(company.says_of("extra").unwrap()["state"], "running");
    company.open("open");
    let answer = company.becomes(&held, "completed");
    assert_eq!(at(&answer, "task.interruptions"), 0);
    company.becomes(&company.delegate(&["-d", "extra", "true"]), "completed");
}
