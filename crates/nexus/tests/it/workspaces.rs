//! Where an attempt works, and what is left of it.

use std::path::Path;

use serde_json::Value;

use crate::support::{Company, Place, WORK, at, git};

fn company(mode: &str) -> Company {
    let place = Place::with(&[("work", &WORK.replace("scratch", mode))]);
    let project = place.path("project");
    place.write("project/README", "hello\n");
    git(&project, &["init", "-q", "-b", "main"]);
    git(&project, &["config", "user.name", "Ann"]);
    git(&project, &["config", "user.email", "ann@example.org"]);
    git(&project, &["add", "."]);
    git(&project, &["commit", "-q", "-m", "first"]);
    Company::up(&place)
}

fn run(company: &Company, command: &str) -> (String, Value) {
    let id = company.delegate(&[command]);
    let answer = company.ended(&id);
    assert_eq!(at(&answer, "task.status"), "completed", "{answer:#}");
    (id, at(&answer, "task.result.workspace").clone())
}

#[test]
fn a_commit_is_on_the_task_s_branch() {
    let company = company("worktree");
    let commit = "echo new > file && git add file && git commit -q -m 'by the agent'";
    let (id, workspace) = run(&company, commit);
    let branch = format!("nexus/{id}");
    let project = company.path("project");
    assert_eq!(workspace["branch"], branch.as_str());
    assert_eq!(workspace["kept"], false);
    assert!(!Path::new(workspace["path"].as_str().unwrap()).exists());
    assert_eq!(git(&project, &["log", "-1", "--format=%s", &branch]), "by the agent\n");
    assert_eq!(git(&project, &["show", &format!("{branch}:file")]), "new\n");
    assert_eq!(git(&project, &["worktree", "list"]).lines().count(), 1);
    assert_eq!(git(&project, &["status", "--porcelain"]), "");
}

#[test]
fn a_clean_one_leaves_nothing() {
    let company = company("worktree");
    let (id, workspace) = run(&company, "cat README");
    assert_eq!(workspace["kept"], false);
    assert!(workspace.get("branch").is_none_or(Value::is_null), "{workspace:#}");
    let project = company.path("project");
    assert_eq!(git(&project, &["branch", "--list", &format!("nexus/{id}")]), "");
    assert_eq!(git(&project, &["worktree", "list"]).lines().count(), 1);
}

#[test]
fn a_dirty_one_is_kept() {
    let company = company("worktree");
    let (_, workspace) = run(&company, "echo changed > README; echo new > file");
    assert_eq!(workspace["kept"], true);
    assert_eq!(workspace["changed_files"], 2);
    let path = Path::new(workspace["path"].as_str().unwrap());
    assert_eq!(std::fs::read_to_string(path.join("README")).unwrap(), "changed\n");
    assert_eq!(company.read("project/README"), "hello\n");
}

#[test]
fn many_worktrees_of_one_repository_at_once() {
    let company = company("worktree");
    let ids: Vec<_> =
        (0..6).map(|n| company.delegate(&[&format!("echo {n} > file; git add file; git commit -qm {n}")])).collect();
    for id in &ids {
        assert_eq!(at(&company.ended(id), "task.status"), "completed");
    }
    let branches = git(&company.path("project"), &["branch", "--list", "nexus/*"]);
    assert_eq!(branches.lines().count(), 6, "{branches}");
}

#[test]
fn an_empty_directory_is_removed_when_it_is_still_empty() {
    let company = company("scratch");
    let (_, workspace) = run(&company, "ls -A | wc -l | grep -qx ' *0'");
    assert_eq!(workspace["kept"], false);
    let (_, workspace) = run(&company, "echo x > file");
    assert_eq!(workspace["kept"], true);
    assert!(Path::new(workspace["path"].as_str().unwrap()).join("file").exists());
}

#[test]
fn in_place_is_the_project_itself() {
    let company = company("in_place");
    run(&company, "echo x > file");
    assert_eq!(company.read("project/file"), "x\n");
}

#[test]
fn a_copy_leaves_the_project_alone() {
    let company = company("copy");
    let (_, workspace) = run(&company, "cat README && echo x > file");
    assert!(!company.path("project/file").exists());
    assert_eq!(workspace["kept"], true);
}
