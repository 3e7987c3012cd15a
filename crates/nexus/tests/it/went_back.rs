//! A ledger that is older than what the history knows: a copy that was put back, or what a power failure left.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Company, at};

#[test]
fn what_the_ledger_holds_is_what_counts() {
    let company = Company::new();
    let kept = company.delegate(&["echo kept"]);
    let before = company.becomes(&kept, "completed");
    let place = company.stop();
    copy(&place.path("data/broker"), &place.path("aside"));
    let company = Company::up(&place);
    let lost = [company.delegate(&["true"]), company.delegate(&["true"])];
    lost.iter().for_each(|id| drop(company.becomes(id, "completed")));
    let place = company.stop();
    fs::remove_dir_all(place.path("data/broker")).unwrap();
    fs::rename(place.path("aside"), place.path("data/broker")).unwrap();
    let company = Company::up(&place);
    assert!(company.read("log").contains("the ledger ends at"), "{}", company.read("log"));
    assert_eq!(listed(&company), [kept.as_str()]);
    assert_eq!(company.status(&kept), before);
    for id in &lost {
        company.run(&["status", id]).fails(3, &["there is no task"]);
    }
    assert_eq!(company.run(&["run", "echo x"]).done(), "x\n");
    let new = company.delegate(&["true"]);
    // At once, also before it has ended.
    assert_eq!(at(&company.status(&new), "task.task_id"), new.as_str());
    company.becomes(&new, "completed");
    assert_eq!(listed(&company).len(), 3);
    // The history that was made anew is as good as the old one.
    let company = Company::up(&company.stop());
    assert_eq!(listed(&company).len(), 3);
}

fn listed(company: &Company) -> Vec<String> {
    let answer = company.json(&["list", "--all"]);
    let tasks = at(&answer, "tasks").as_array().unwrap();
    let id = |task: &Value| task["task_id"].as_str().unwrap().to_owned();
    assert_eq!(at(&answer, "total"), tasks.len());
    tasks.iter().map(id).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
