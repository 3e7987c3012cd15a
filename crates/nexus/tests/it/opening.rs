//! `nexus shell` and `nexus path`: a person in what a task has left.
#![cfg(target_os = "linux")]

use std::path::Path;

use crate::support::processes::until;
use crate::support::{Company, Place, WORK, at, git};

/// A company whose agents are confined, and work in layers where the machine has these.
fn company() -> Company {
    company_with("")
}

fn company_with(more: &str) -> Company {
    let text = WORK.replace("sandbox.level = \"none\"\n", "").replace("workspace.mode = \"scratch\"\n", "");
    let place = Place::with(&[("work", &format!("{text}\n[retry]\nmax_attempts = 1\n{more}"))]);
    let project = place.path("project");
    place.write("project/README", "hello\n");
    std::fs::create_dir(project.join("sub")).unwrap();
    place.write("project/sub/file", "file\n");
    git(&project, &["init", "-q", "-b", "main"]);
    git(&project, &["config", "user.name", "Ann"]);
    git(&project, &["config", "user.email", "ann@example.org"]);
    git(&project, &["add", "."]);
    git(&project, &["commit", "-q", "-m", "first"]);
    Company::up(&place)
}

#[test]
fn a_kept_workspace_is_opened() {
    let company = company();
    let id = company.delegate(&["echo changed >> README; mv sub moved; exit 3"]);
    let answer = company.ended(&id);
    if at(&answer, "task.result.workspace.layered") != true {
        eprintln!("skipped: no layers here");
        return;
    }
    let shown = company.run(&["status", &id]).done();
    assert!(shown.contains(&format!("clone, kept (3 files not committed): nexus shell {id}")), "{shown}");
    let ran = company.run(&["shell", &id, "--", "sh", "-c", "cat README moved/file; exit 7"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(7), "hello\nchanged\nfile\n"));
    let commit = "git add -A && git -c user.name=P -c user.email=p@example.com commit -qm mine";
    let ran = company.run(&["shell", &id, "--", "sh", "-c", commit]);
    assert!(ran.code == Some(0) && ran.stderr.contains("has your commits"), "{}", ran.stderr);
    assert_eq!(git(&company.path("project"), &["log", "-1", "--format=%s", &format!("nexus/{id}")]), "mine\n");
    let ran = company.run(&["shell", "--read-only", &id, "--", "touch", "new"]);
    assert!(ran.code != Some(0) && ran.stderr.contains("Read-only"), "{}", ran.stderr);
    let path = company.run(&["path", &id]).done();
    let path = Path::new(path.trim_end());
    assert_eq!(std::fs::read_to_string(path.join("moved/file")).unwrap(), "file\n");
    assert_eq!(company.json(&["path", &id])["path"], path.to_str().unwrap());
    let cleaned = company.json(&["clean", "--dry-run"]);
    assert_eq!((&cleaned["checkouts"]["removed"], &cleaned["checkouts"]["left"]), (&0.into(), &1.into()), "{cleaned}");
    company.run(&["clean"]).done();
    company.run(&["shell", &id]).fails(3, &["no workspace"]);
    company.run(&["path", &id]).fails(3, &["no workspace"]);
}

#[test]
fn a_running_attempt_keeps_its_workspace_to_itself() {
    let company = company();
    let id = company.delegate(&["echo here > new; sleep 1000"]);
    company.becomes(&id, "running");
    company.run(&["shell", &id, "--", "true"]).fails(4, &["an attempt of task", "--read-only"]);
    company.run(&["path", &id]).fails(4, &["an attempt of task", "--read-only"]);
    company.run(&["cancel", &id]).done();
    company.run(&["shell", &id, "--", "true"]).done();
}

#[test]
fn an_attempt_waits_for_whoever_has_its_workspace_open() {
    let company = company();
    let id = company.delegate(&["echo more >> README; test -e mended"]);
    if at(&company.ended(&id), "task.result.workspace.layered") != true {
        eprintln!("skipped: no layers here");
        return;
    }
    let (here, leave) = (company.path("here"), company.path("leave"));
    let script = format!("touch mended; mkfifo {1}; echo > {0}; read line < {1}", here.display(), leave.display());
    let shell = std::thread::scope(|scope| {
        let shell = scope.spawn(|| company.run(&["shell", &id, "--", "sh", "-c", &script]));
        until("a shell", || here.exists().then_some(()));
        company.run(&["retry", &id]).done();
        let waits = "waits until its workspace is no longer open in `nexus shell`";
        until("a word in the log", || company.run(&["logs", &id]).done().contains(waits).then_some(()));
        std::fs::write(&leave, "go\n").unwrap();
        shell.join().unwrap()
    });
    assert_eq!(shell.code, Some(0), "{}", shell.stderr);
    assert_eq!(at(&company.ended(&id), "task.status"), "completed");
}

#[test]
fn a_department_can_do_without_layers() {
    let company = company_with("[workspace]\nlayers = false\n");
    let id = company.delegate(&["echo changed >> README; exit 3"]);
    let answer = company.ended(&id);
    let workspace = at(&answer, "task.result.workspace");
    assert!(workspace.get("layered").is_none() && workspace["kept"] == true, "{workspace:#}");
    let path = company.run(&["path", &id]).done();
    assert_eq!(path.trim_end(), workspace["path"].as_str().unwrap());
    assert_eq!(std::fs::read_to_string(Path::new(path.trim_end()).join("README")).unwrap(), "hello\nchanged\n");
    assert_eq!(company.run(&["shell", &id, "--", "cat", "README"]).done(), "hello\nchanged\n");
    // As on a machine without overlay mounts: there is no place for a trial.
    let layers = company.path("data/layers");
    let _ = std::fs::remove_dir_all(&layers);
    company.write("data/layers", "");
    let ran = company.run(&["shell", "--read-only", &id, "--", "true"]);
    let said = ran.fails(1, &["to be read only", &format!("nexus path {id}"), "without --read-only"]);
    assert!(!said.contains("makes a plain directory"), "{said}");
    assert_eq!(company.run(&["shell", &id, "--", "cat", "README"]).done(), "hello\nchanged\n");
}
