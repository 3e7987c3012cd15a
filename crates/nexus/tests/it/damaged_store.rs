//! A store that was damaged while the company was away: nothing is begun in its place, and what is missing is said.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::sync::Arc;

use crate::support::{Company, Place, at};

const UP: [&str; 3] = ["up", "--listen", "127.0.0.1:0"];

fn stream(place: &Place) -> PathBuf {
    place.path("data/broker/store/jetstream/$G/streams/NEXUS_TASKS")
}

/// A company that has done a task, and was stopped.
fn stopped() -> (Arc<Place>, String) {
    let company = Company::new();
    let task = company.delegate(&["echo kept"]);
    company.becomes(&task, "completed");
    (company.stop(), task)
}

#[test]
fn a_garbled_description_of_the_ledger() {
    let (place, task) = stopped();
    fs::write(stream(&place).join("meta.inf"), "{garb").unwrap();
    // Also the second time: nothing was begun in between.
    for _ in 0..2 {
        place.run(&UP).fails(1, &["the ledger is gone", &place.text("data"), "checksums do not match", "--new-ledger"]);
    }
    place.run(&["run", "true"]).fails(1, &["the ledger is gone"]);
    // What can be found is taken up, when that is said to be right.
    let company = Company::up_with(&place, &["--new-ledger"], &[]);
    assert_eq!(at(&company.status(&task), "task.status"), "completed");
    let company = Company::up(&company.stop());
    assert_eq!(company.run(&["run", "echo x"]).done(), "x\n");
}

#[test]
fn a_ledger_that_is_gone() {
    let (place, task) = stopped();
    fs::remove_dir_all(place.path("data/broker/store")).unwrap();
    place.run(&UP).fails(1, &["the ledger is gone", "--new-ledger"]);
    let company = Company::up_with(&place, &["--new-ledger"], &[]);
    company.run(&["status", &task]).fails(3, &["there is no task"]);
    assert_eq!(company.run(&["run", "echo x"]).done(), "x\n");
}

#[test]
fn a_ledger_that_only_the_history_remembers() {
    let (place, task) = stopped();
    fs::remove_dir_all(place.path("data/broker/store")).unwrap();
    for memory in [None, Some("{garb")] {
        fs::remove_file(place.path("data/ledger.json")).unwrap();
        if let Some(text) = memory {
            place.write("data/ledger.json", text);
        }
        place.run(&UP).fails(1, &["the ledger is gone", "--new-ledger"]);
        place.write("data/ledger.json", "{}");
    }
    let company = Company::up_with(&place, &["--new-ledger"], &[]);
    company.run(&["status", &task]).fails(3, &["there is no task"]);
}

#[test]
fn records_that_were_lost() {
    let (place, _) = stopped();
    assert!(!place.run(&["doctor"]).done().contains("were lost"));
    let block = stream(&place).join("msgs/1.blk");
    let length = block.metadata().unwrap().len();
    OpenOptions::new().write(true).open(&block).unwrap().set_len(length / 2).unwrap();
    let company = Company::up(&place);
    assert!(company.read("log").contains("records of the ledger were lost"), "{}", company.read("log"));
    assert_eq!(company.run(&["run", "echo x"]).done(), "x\n");
    // It is not forgotten by starting once more.
    let place = Company::up(&company.stop()).stop();
    assert!(place.run(&["doctor"]).done().contains("records of the ledger were lost"));
    let place = Company::up_with(&place, &["--new-ledger"], &[]).stop();
    assert!(!place.run(&["doctor"]).done().contains("were lost"));
}

#[test]
fn queues_that_are_garbled() {
    let company = Company::new();
    let done = company.delegate(&["echo kept"]);
    company.becomes(&done, "completed");
    let gate = company.gate("open");
    let waiting: Vec<_> = (0..3).map(|_| company.delegate(&["echo waited"])).collect();
    let place = company.stop();
    for consumer in fs::read_dir(stream(&place).join("obs")).unwrap() {
        fs::write(consumer.unwrap().path().join("o.dat"), "garb").unwrap();
    }
    place.write("open", "");
    let company = Company::up(&place);
    for task in waiting.iter().chain([&gate]) {
        assert_eq!(at(&company.ended(task), "task.status"), "completed");
    }
    // What had ended is not begun again.
    assert_eq!(at(&company.status(&done), "task.attempt"), 1);
    let events = company.run(&["events", "--task", &done]).done();
    assert_eq!(events.matches("completed").count(), 1, "{events}");
}
