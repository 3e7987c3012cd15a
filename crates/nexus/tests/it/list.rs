//! `nexus list`: filters and pages.

use serde_json::Value;

use crate::support::{Company, at};

#[test]
fn pages_have_everything_once_newest_first() {
    let company = Company::new();
    let mut ids: Vec<_> = (0..5).map(|_| company.delegate(&["true"])).collect();
    ids.iter().for_each(|id| drop(company.ended(id)));
    ids.reverse();
    let (mut seen, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut args = vec!["list", "--all", "--limit", "2"];
        args.extend(cursor.iter().flat_map(|cursor| ["--cursor", cursor.as_str()]));
        let page = company.json(&args);
        assert_eq!(at(&page, "total"), 5);
        let tasks = at(&page, "tasks").as_array().unwrap().clone();
        assert!(tasks.len() <= 2);
        seen.extend(tasks.iter().map(|task| task["task_id"].as_str().unwrap().to_owned()));
        match at(&page, "next_cursor") {
            Value::String(next) => cursor = Some(next.clone()),
            _ => break,
        }
    }
    assert_eq!(seen, ids);
}

#[test]
fn only_what_is_asked_for() {
    let company = Company::new();
    let done = company.delegate(&["true"]);
    let failed = company.delegate(&["false"]);
    company.ended(&done);
    company.ended(&failed);
    let running = company.gate("open");
    let ids = |args: &[&str]| -> Vec<String> {
        let page = company.json(args);
        let tasks = at(&page, "tasks").as_array().unwrap();
        tasks.iter().map(|task| task["task_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&["list"]), [running.as_str()]);
    assert_eq!(ids(&["list", "--status", "failed"]), [failed.as_str()]);
    assert_eq!(ids(&["list", "--status", "failed", "--status", "completed"]), [failed.as_str(), done.as_str()]);
    assert_eq!(ids(&["list", "--all"]).len(), 3);
    assert_eq!(ids(&["list", "--all", "--department", "work"]).len(), 3);
    let said = company.run(&["list"]).done();
    assert!(said.starts_with("TASK") && said.contains(&running) && said.contains("1 of 1"), "{said}");
    let lines = company.run(&["list", "--all", "-o", "ndjson"]).done();
    assert_eq!(lines.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count(), 3);
    company.run(&["list", "--limit", "0"]).fails(2, &["limit"]);
    company.run(&["list", "--status", "done"]).fails(2, &["not a status"]);
    company.run(&["list", "--cursor", "rubbish"]).fails(2, &["cursor"]);
    company.open("open");
}

#[test]
fn an_empty_list_is_no_error() {
    let company = Company::new();
    assert_eq!(company.run(&["list"]).done(), "0 of 0 · nexus list --all for finished ones\n");
    assert_eq!(at(&company.json(&["list", "--all"]), "total"), 0);
}
