//! `nexus backup` and `nexus restore`: a company that was saved is there again, and does nothing twice that had ended.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use serde_json::Value;

use crate::support::{Company, Place, WORK, at};

/// A place whose nodes don't wait long for those that are gone.
fn place() -> Arc<Place> {
    let place = Place::with(&[("work", WORK)]);
    place.write("config/nexus.toml", "shutdown_grace = \"500ms\"\n[bus]\nlease = \"3s\"\n");
    place
}

/// Where a test keeps the lines that its tasks write, one for each time that one is run.
fn mark(place: &Place, word: &str) -> String {
    format!("echo {word} >> {}", place.text("marks"))
}

fn times(place: &Place, word: &str) -> usize {
    place.read("marks").lines().filter(|line| *line == word).count()
}

fn status(place: &Place, task: &str) -> Value {
    place.json(&["status", task])
}

#[test]
fn a_company_that_runs_is_saved_and_goes_on_elsewhere() {
    let first = place();
    let company = Company::up(&first);
    let done = company.delegate(&[&format!("{}; echo kept", mark(&first, "done"))]);
    company.becomes(&done, "completed");
    let failed = company.delegate(&["--max-attempts", "1", "echo broken; exit 3"]);
    company.becomes(&failed, "failed");
    let held = [company.gate("open"), company.gate("open")];
    let waiting: Vec<_> = (0..3).map(|_| company.delegate(&[&mark(&first, "waited")])).collect();
    let later = company.delegate(&["--not-before", "2100-01-01T00:00:00Z", &mark(&first, "later")]);
    company.run(&["message", "work", "mind the gap"]).done();
    let file = first.text("company.backup");
    let saved = company.json(&["backup", &file]);
    assert!(at(&saved, "records").as_u64().unwrap() > 10, "{saved:#}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    company.run(&["backup", &file]).fails(4, &["is there already"]);
    assert_eq!(
        fs::read_dir(first.path(""))
            .unwrap()
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(".nexus"))
            .count(),
        0
    );
    // What comes later is not in it.
    let after = company.delegate(&["echo after"]);

    let second = place();
    let restored = second.json(&["restore", &file]);
    assert_eq!(at(&restored, "was"), &first.text("data"));
    assert_eq!(second.read("data/token"), first.read("data/token"));
    // It can be looked at before a company is up.
    assert_eq!(at(&status(&second, &done), "task.status"), "completed");
    assert_eq!(at(&status(&second, &later), "task.status"), "queued");
    second.run(&["status", &after]).fails(3, &["there is no task"]);
    second.run(&["restore", &file]).fails(4, &["is not empty"]);

    let copy = Company::up(&second);
    // Its agents are none of the first one's, which still runs.
    assert!(held.iter().all(|task| at(&company.status(task), "task.status") == "running"));
    company.open("open");
    for task in waiting.iter().chain(&held) {
        assert_eq!(at(&copy.ended(task), "task.status"), "completed");
        assert_eq!(at(&copy.status(task), "task.attempt"), 1);
    }
    for task in waiting.iter().chain(&held).chain([&after]) {
        assert_eq!(at(&company.ended(task), "task.status"), "completed");
    }
    assert_eq!(times(&first, "done"), 1);
    assert_eq!(times(&first, "waited"), 6);
    assert_eq!(times(&first, "later"), 0);
    assert_eq!(at(&copy.status(&failed), "task.status"), "failed");
    assert_eq!(at(&copy.status(&later), "task.status"), "queued");
    assert!(copy.run(&["logs", &done]).done().contains("kept"));
    assert!(copy.run(&["messages", "work"]).done().contains("mind the gap"));
    assert!(copy.run(&["dead"]).done().contains(&failed[..8]));
    assert!(!second.read("log").contains("were lost"), "{}", second.read("log"));
    company.stop();
    // What was restored is kept as everything is.
    let copy = Company::up(&copy.stop());
    assert_eq!(copy.run(&["run", "echo x"]).done(), "x\n");
}

#[test]
fn a_company_that_was_stopped_is_saved_and_put_back_in_place() {
    let place = place();
    let company = Company::up(&place);
    let done = company.delegate(&[&mark(&place, "done")]);
    company.becomes(&done, "completed");
    let gates = [company.gate("open"), company.gate("open")];
    let waiting = company.delegate(&[&mark(&place, "waited")]);
    let place = company.stop();
    let file = place.text("company.backup");
    assert!(place.run(&["backup", &file]).done().starts_with(&format!("saved  {file} (")));
    fs::remove_dir_all(place.path("data")).unwrap();
    place.run(&["restore", &file]).done();
    place.write("open", "");
    let company = Company::up(&place);
    for task in gates.iter().chain([&waiting]) {
        assert_eq!(at(&company.ended(task), "task.status"), "completed");
    }
    assert_eq!(at(&company.status(&done), "task.attempt"), 1);
    assert_eq!((times(&place, "done"), times(&place, "waited")), (1, 1));
    company.run(&["restore", &file]).fails(4, &["is in use by another company"]);
}

#[test]
fn a_node_that_was_killed_gets_back_what_it_had_in_hand() {
    let place = place();
    let company = Company::up(&place);
    let held = company.gate("open");
    let file = place.text("company.backup");
    company.run(&["backup", &file]).done();
    let node = place.read("data/node");
    let place = company.kill();
    fs::remove_dir_all(place.path("data")).unwrap();
    place.run(&["restore", &file]).done();
    place.write("open", "");
    let company = Company::up(&place);
    assert_eq!(at(&company.ended(&held), "task.status"), "completed");
    assert_eq!(at(&company.status(&held), "task.attempt"), 1);
    assert_eq!(place.read("data/node"), node);
}

/// The archive with another manifest, or without its end.
fn forged(from: &str, to: &str, change: impl Fn(Value) -> Value, entries: usize) {
    let mut archive = tar::Archive::new(File::open(from).unwrap());
    let mut forged = tar::Builder::new(File::create(to).unwrap());
    for (number, entry) in archive.entries().unwrap().take(entries).enumerate() {
        let mut entry = entry.unwrap();
        let mut header = entry.header().clone();
        let path = entry.path().unwrap().into_owned();
        if number == 0 {
            let text = change(serde_json::from_reader(&mut entry).unwrap()).to_string();
            header.set_size(text.len() as u64);
            forged.append_data(&mut header, path, text.as_bytes()).unwrap();
        } else {
            forged.append_data(&mut header, path, entry).unwrap();
        }
    }
    forged.finish().unwrap();
}

#[test]
fn what_is_no_whole_backup_is_refused_and_leaves_nothing() {
    let first = place();
    let company = Company::up(&first);
    company.becomes(&company.delegate(&["echo x"]), "completed");
    let place = company.stop();
    let file = place.text("company.backup");
    place.run(&["backup", &file]).done();
    let bad = place.text("bad.backup");
    let other = self::place();
    let refused = |words: &str| {
        other.run(&["restore", &bad]).fails(4, &[words, "nothing was changed"]);
        let left: Vec<_> = fs::read_dir(other.path("data")).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert!(left.is_empty() || left == ["lock"], "{left:?}");
    };
    let newer = |mut manifest: Value| {
        manifest["v"] = 2.into();
        manifest
    };
    forged(&file, &bad, newer, 99);
    refused("it was written by a newer nexus");
    forged(&file, &bad, |manifest| manifest, 6);
    refused("it is cut off");
    fs::write(&bad, "no archive").unwrap();
    refused("it is no backup of a company");
    let whole = fs::read(&file).unwrap();
    fs::write(&bad, &whole[..whole.len() / 2]).unwrap();
    refused("it is cut off");
    place.run(&["restore", &place.text("none")]).fails(1, &["can't be read"]);
    let nowhere = place.text("none/company.backup");
    place.run(&["backup", &nowhere]).fails(1, &[&nowhere, "can't be written"]);
}
