//! Uncommitted changes of the user's: said wherever a task is asked for, or started from and told apart from its work.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::{Company, Place, WORK, at, git};

/// A company whose agents work in clones, and a project with two uncommitted changes.
fn place(more: &str) -> Arc<Place> {
    let place = Place::with(&[("work", &format!("{}\n{more}", WORK.replace("scratch", "clone")))]);
    let project = place.path("project");
    place.write("project/a.txt", "one\n");
    git(&project, &["init", "-q", "-b", "main"]);
    git(&project, &["config", "user.name", "Ann"]);
    git(&project, &["config", "user.email", "ann@example.org"]);
    git(&project, &["add", "."]);
    git(&project, &["commit", "-q", "-m", "first"]);
    place.write("project/a.txt", "one\ntwo\n");
    place.write("project/new.txt", "new\n");
    place
}

fn ended(company: &Company, args: &[&str]) -> (String, Value) {
    let id = company.delegate(args);
    let answer = company.ended(&id);
    assert_eq!(at(&answer, "task.status"), "completed", "{answer:#}");
    (id, at(&answer, "task.result").clone())
}

#[test]
fn what_is_left_out_is_said() {
    let company = Company::up(&place(""));
    let project = company.text("project");
    let said = format!("2 uncommitted changes in {project} are left out (a.txt, new.txt)");
    let ran = company.run(&["delegate", "cat a.txt"]);
    let way = format!("note     {said}; --include-uncommitted starts from them");
    assert!(ran.stderr.contains(&way), "{ran:#?}");
    let id = ran.done();
    company.ended(id.trim());
    let status = company.run(&["status", id.trim()]).done();
    assert!(status.contains(&said), "{status}");
    let ran = company.run(&["run", "cat a.txt"]);
    assert!(ran.stderr.contains(&way), "{ran:#?}");
    assert_eq!(ran.done(), "one\n");
    let accepted = company.json(&["delegate", "true"]);
    let uncommitted = json!({ "changes": 2, "elsewhere": 0, "paths": ["a.txt", "new.txt"], "included": false });
    assert_eq!(at(&accepted, "uncommitted"), &uncommitted);
    let id = at(&accepted, "task_id").as_str().unwrap();
    assert_eq!(at(&company.ended(id), "task.result.workspace.uncommitted"), &uncommitted);
}

#[test]
fn nothing_is_said_where_there_is_nothing_to_say() {
    let place = place("");
    place.department("here", &WORK.replace("scratch", "in_place"));
    let company = Company::up(&place);
    let ran = company.run(&["delegate", "-d", "here", "cat a.txt"]);
    assert!(!ran.stderr.contains("uncommitted"), "{ran:#?}");
    let project = company.path("project");
    git(&project, &["add", "."]);
    git(&project, &["commit", "-q", "-m", "second"]);
    let ran = company.run(&["delegate", "-d", "work", "cat a.txt"]);
    assert!(!ran.stderr.contains("uncommitted"), "{ran:#?}");
}

#[test]
fn a_task_starts_from_them_and_apply_leaves_them_to_the_user() {
    let company = Company::up(&place(""));
    let project = company.path("project");
    let ran = company.run(&["delegate", "--include-uncommitted", "cat a.txt new.txt; echo work > work.txt"]);
    assert!(ran.stderr.contains("are included (a.txt, new.txt)"), "{ran:#?}");
    let id = ran.done().trim().to_owned();
    let answer = company.ended(&id);
    assert_eq!(at(&answer, "task.result.output"), "one\ntwo\nnew\n");
    let workspace = at(&answer, "task.result.workspace");
    assert_eq!((&workspace["snapshot"], &workspace["commit_count"]), (&json!(true), &json!(1)), "{workspace:#}");
    assert_eq!(workspace["uncommitted"]["included"], true);
    let patch = company.run(&["diff", &id]).done();
    assert!(patch.contains("work.txt") && !patch.contains("new.txt") && !patch.contains("a.txt"), "{patch}");
    company.run(&["apply", &id]).done();
    assert_eq!(git(&project, &["show", "--format=", "--name-only", "HEAD"]), "work.txt\n");
    assert_eq!(git(&project, &["status", "--porcelain"]), " M a.txt\n?? new.txt\n");
    company.run(&["clean", &id]).done();
    assert_eq!(git(&project, &["for-each-ref", "refs/nexus", "refs/heads/nexus"]), "");
}

#[test]
fn work_on_top_of_them_is_refused_with_the_way_out() {
    let company = Company::up(&place(""));
    let project = company.path("project");
    let (id, _) = ended(&company, &["--include-uncommitted", "sed -i s/two/2/ a.txt"]);
    let refused = company.run(&["apply", &id]);
    refused.fails(4, &["builds on uncommitted changes of yours", "a.txt", "commit your changes first"]);
    git(&project, &["commit", "-q", "-a", "-m", "the edits"]);
    company.run(&["apply", &id]).done();
    assert_eq!(company.read("project/a.txt"), "one\n2\n");
}

#[test]
fn a_department_decides_and_a_task_overrules_it() {
    let company = Company::up(&place("workspace.include_uncommitted = true"));
    let (_, result) = ended(&company, &["cat a.txt"]);
    assert_eq!(result["output"], "one\ntwo\n");
    let (_, result) = ended(&company, &["--include-uncommitted=false", "cat a.txt"]);
    assert_eq!(result["output"], "one\n");
}
