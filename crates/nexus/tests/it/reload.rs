//! An edited configuration holds while the company runs.

use crate::support::processes::until;
use crate::support::{Company, Place, WORK, at};

#[test]
fn more_workers_and_then_fewer() {
    let company = Company::with(&[("work", &WORK.replace("workers = 2", "workers = 1"))]);
    let first = company.gate("open");
    let second = company.delegate(&["true"]);
    company.department("work", &WORK.replace("workers = 2", "workers = 3"));
    // The new ones take what waits.
    company.ended(&second);
    assert_eq!(company.says_of("work").unwrap()["workers"], 3);
    company.department("work", &WORK.replace("workers = 2", "workers = 1"));
    until("one worker", || (company.says_of("work").unwrap()["workers"] == 1).then_some(()));
    // Running work is finished, by a worker that stays or by one that leaves.
    company.open("open");
    assert_eq!(at(&company.ended(&first), "task.status"), "completed");
    until("the others have left", || {
        (at(&company.json(&["workers"]), "workers").as_array().unwrap().len() == 1).then_some(())
    });
}

#[test]
fn types_change_routes() {
    let company = Company::with(&[("work", WORK), ("other", WORK)]);
    let lands = || at(&company.json(&["delegate", "-t", "testing", "true"]), "department").as_str().unwrap().to_owned();
    assert_eq!(lands(), "other");
    company.department("work", &format!("{WORK}\ntask_types = [\"testing\"]"));
    until("the new route", || (lands() == "work").then_some(()));
}

#[test]
fn a_new_file_is_a_new_department() {
    let company = Company::new();
    company.run(&["delegate", "-d", "extra", "true"]).fails(3, &["extra"]);
    company.department("extra", WORK);
    until("the department", || company.says_of("extra").filter(|extra| extra["state"] == "running"));
    let id = company.delegate(&["-d", "extra", "true"]);
    assert_eq!(at(&company.ended(&id), "task.status"), "completed");
}

#[test]
fn a_removed_file_s_department_leaves_when_its_work_is_done() {
    let company = Company::with(&[("work", WORK), ("extra", WORK)]);
    let gate = format!("until [ -e {} ]; do sleep 0.02; done", company.text("open"));
    let id = company.delegate(&["-d", "extra", &gate]);
    company.becomes(&id, "running");
    std::fs::remove_file(company.path("config/departments/extra.toml")).unwrap();
    until("it leaves", || company.says_of("extra").filter(|extra| extra["state"] == "leaving"));
    company.run(&["delegate", "-d", "extra", "true"]).fails(3, &["extra"]);
    company.open("open");
    assert_eq!(at(&company.ended(&id), "task.status"), "completed");
    until("it has left", || company.says_of("extra").is_none().then_some(()));
}

#[test]
fn a_department_that_comes_back_finds_what_waited() {
    let company = Company::with(&[("work", WORK), ("extra", &WORK.replace("workers = 2", "workers = 1"))]);
    let gate = format!("until [ -e {} ]; do sleep 0.02; done", company.text("open"));
    let running = company.delegate(&["-d", "extra", &gate]);
    let waiting = company.delegate(&["-d", "extra", "true"]);
    company.becomes(&running, "running");
    std::fs::remove_file(company.path("config/departments/extra.toml")).unwrap();
    until("it leaves", || company.says_of("extra").filter(|extra| extra["state"] == "leaving"));
    company.open("open");
    until("it has left", || company.says_of("extra").filter(|extra| extra["state"] == "gone"));
    assert_eq!(at(&company.status(&waiting), "task.status"), "queued");
    company.department("extra", WORK);
    assert_eq!(at(&company.ended(&waiting), "task.status"), "completed");
}

#[test]
fn the_grace_of_a_stop_is_the_newest_one() {
    let place = Place::new();
    place.write("config/nexus.toml", "shutdown_grace = \"10m\"\n");
    let company = Company::up(&place);
    company.gate("never");
    place.write("config/nexus.toml", "shutdown_grace = \"100ms\"\n");
    until("the reload", || place.read("log").contains("is in force").then_some(()));
    let place = company.stop();
    assert!(place.read("log").contains("agents have 100ms"), "{}", place.read("log"));
}

#[test]
fn what_needs_a_restart_is_named() {
    let company = Company::new();
    company.write("config/nexus.toml", "[bus]\nsync = \"always\"\n[history]\nurl = \"sqlite:elsewhere.db\"\n");
    until("the warning", || company.read("log").contains("[bus], [history] needs a restart").then_some(()));
}
