//! What can be looked at while no company is up: everything that its data directory holds. Nothing runs by that.

use crate::support::processes::assert_none;
use crate::support::{Company, Place, at, git};

const CLONES: &str = "workers = 1\nsandbox.level = \"none\"\nworkspace.mode = \"clone\"\n";

#[test]
fn what_a_run_has_left_is_shown_applied_and_cleaned() {
    let place = Place::with(&[("work", CLONES)]);
    let project = place.path("project");
    git(&project, &["init", "--quiet", "--initial-branch=main"]);
    for (key, value) in [("user.name", "A"), ("user.email", "a@example.org")] {
        git(&project, &["config", key, value]);
    }
    git(&project, &["commit", "--quiet", "--allow-empty", "-m", "first"]);
    let ran = place.run(&["-o", "json", "run", "echo said; echo new > file; git add file; git commit -qm second"]);
    assert!(ran.stderr.contains("next     nexus diff "), "{ran:?}");
    let ran: serde_json::Value = serde_json::from_str(&ran.done()).unwrap();
    let id = at(&ran, "task.task_id").as_str().unwrap();
    assert_none(&place.path(""));
    assert_eq!(at(&place.json(&["status", id]), "task"), at(&ran, "task"));
    assert_eq!(at(&place.json(&["status", "--tree", id]), "0.task_id"), id);
    assert_eq!(at(&place.json(&["list", "--all"]), "tasks.0.task_id"), id);
    assert_eq!(place.run(&["logs", "-f", id]).done(), "said\n");
    assert!(place.run(&["events", "--task", id]).done().contains("completed"));
    assert!(place.run(&["diff", id]).done().contains("+new"));
    assert!(place.run(&["apply", id]).done().contains("fast-forward"));
    assert!(project.join("file").exists());
    assert!(place.run(&["clean"]).done().contains(id));
    place.run(&["path", id]).fails(3, &["no workspace on this machine"]);
    place.run(&["prompt", id]).fails(3, &["no prompt is kept"]);
    place.run(&["status", "nonesuch"]).fails(3, &["there is no task"]);
    assert_none(&place.path(""));
}

#[test]
fn what_waits_goes_on_waiting() {
    let company = Company::with(&[("work", "workers = 1\nworkspace.mode = \"scratch\"\nsandbox.level = \"none\"\n")]);
    company.gate("open");
    let waiting = company.delegate(&[&format!("echo ran; touch {}", company.text("ran"))]);
    company.run(&["message", "work", "read this"]).done();
    let place = company.stop();
    place.write("open", "");
    let said = place.run(&["status", &waiting]).done();
    assert!(said.contains("no company is up; it goes on with the next `nexus up`"), "{said}");
    assert_eq!(at(&place.json(&["list"]), "total"), 2);
    assert!(place.run(&["messages", "work"]).done().contains("read this"));
    place.run(&["logs", "-f", &waiting]).fails(6, &["no company is up", "the next `nexus up`"]);
    for change in [["cancel", &waiting], ["retry", &waiting], ["delegate", "true"]] {
        place.run(&change).fails(6, &["is not running"]);
    }
    assert_none(&place.path(""));
    assert!(!place.path("ran").exists());
    let company = Company::up(&place);
    company.becomes(&waiting, "completed");
    assert!(place.path("ran").exists());
}

#[test]
fn what_a_killed_company_had_in_hand_is_told_and_left_to_the_next() {
    let company = Company::new();
    let id = company.gate("open");
    let place = company.kill();
    let said = place.run(&["status", &id]).done();
    assert!(said.contains("its company ended without a word"), "{said}");
    let company = Company::up(&place);
    company.open("open");
    assert_eq!(at(&company.ended(&id), "task.interruptions"), 1);
}

#[test]
fn where_no_company_has_been_there_is_nothing_to_look_at() {
    let place = Place::new();
    for command in ["list", "events"] {
        place.run(&[command]).fails(6, &["is not running", "nexus up"]);
    }
    assert!(!place.path("data/lock").exists());
}

#[test]
fn several_look_at_once() {
    let place = Place::new();
    place.run(&["run", "true"]).done();
    let looks: Vec<_> = (0..4).map(|_| place.start(&["list", "--all"])).collect();
    looks.into_iter().for_each(|look| assert!(look.end().done().contains("1 of 1")));
}
