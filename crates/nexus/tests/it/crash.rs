//! Crashes in the middle of much work: nothing is lost, and nothing ends twice.
#![expect(clippy::disallowed_types, reason = "copies a data directory, as an administrator does")]

use std::collections::BTreeMap;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::processes::{signal, until};
use crate::support::{Company, Place, WORK, at};

const TASKS: usize = 40;

#[test]
fn killed_twice_in_the_middle() {
    let place = Place::with(&[("work", &WORK.replace("workers = 2", "workers = 4"))]);
    let mut company = Company::up(&place);
    let command = format!("sleep 0.1; echo $NEXUS_TASK_ID >> {}", company.text("ran"));
    let ids: Vec<_> = (0..TASKS).map(|_| company.delegate(&[&command])).collect();
    for part in [TASKS / 4, TASKS / 2] {
        until("a part of the work", || (place.read("ran").lines().count() >= part).then_some(()));
        company.kill();
        company = Company::up(&place);
    }
    ids.iter().for_each(|id| drop(company.becomes(id, "completed")));
    let ran = company.read("ran");
    assert!(ids.iter().all(|id| ran.lines().any(|line| line == id)), "{ran}");
    let events = company.run(&["events", "-o", "ndjson", "--limit", "1000"]).done();
    let mut ends = BTreeMap::new();
    for event in events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        if event["what"]["type"] == "completed" {
            *ends.entry(event["task_id"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        }
    }
    assert_eq!(ends.len(), TASKS);
    assert!(ends.values().all(|count| *count == 1), "{ends:?}");
}

#[test]
fn the_broker_s_crash_is_survived() {
    let company = Company::new();
    let running = company.gate("open");
    let done = company.delegate(&["true"]);
    company.ended(&done);
    let broker = at(&company.json(&["broker", "status"]), "running.pid").as_u64().unwrap();
    signal(u32::try_from(broker).unwrap(), Signal::KILL);
    until("another broker", || {
        let status = company.json(&["broker", "status"]);
        (status.pointer("/running/pid")?.as_u64()? != broker).then_some(())
    });
    until("an answer", || (company.run(&["health"]).code == Some(0)).then_some(()));
    assert_eq!(company.run(&["run", "echo works"]).done(), "works\n");
    // What ran went on, and is still the same attempt.
    company.open("open");
    let answer = company.ended(&running);
    assert_eq!(at(&answer, "task.status"), "completed");
    assert_eq!(at(&answer, "task.interruptions"), 0);
    assert_eq!(at(&company.status(&done), "task.status"), "completed");
}

#[test]
fn a_run_outlives_the_company_it_waits_for() {
    let company = Company::new();
    let command = format!("until [ -e {} ]; do sleep 0.02; done; echo works", company.text("gate"));
    let run = company.start(&["run", &command]);
    let only = |company: &Company| {
        let page = company.json(&["list"]);
        Some(page.pointer("/tasks/0/task_id")?.as_str()?.to_owned())
    };
    let task = until("its task", || only(&company));
    company.becomes(&task, "running");
    let company = Company::up(&company.kill());
    company.becomes(&task, "running");
    company.open("gate");
    assert_eq!(run.end().done(), "works\n");
}

#[test]
fn a_copy_of_its_data_leaves_a_company_alone() {
    let company = Company::new();
    let id = company.gate("open");
    let other = Place::new();
    let copied = Command::new("cp").args(["-a", &company.text("data/."), &other.text("data")]).status();
    assert!(copied.unwrap().success());
    let copy = Company::up(&other);
    assert_ne!(copy.read("data/node"), company.read("data/node"));
    assert!(copy.read("log").contains("is a copy of another data directory"), "{}", copy.read("log"));
    // What the copy knows as running it does anew, once the lease of the one it knows of has lapsed.
    copy.becomes(&id, "running");
    company.open("open");
    let answer = company.ended(&id);
    assert_eq!((at(&answer, "task.status"), at(&answer, "task.attempt")), (&"completed".into(), &1.into()));
    assert_eq!(at(&answer, "task.interruptions"), 0);
}
