//! `[workspace] warm`: what its commands make is there for every task, and they run once.
#![cfg(target_os = "linux")]

use crate::support::processes::{marked, until};
use crate::support::{Company, Place, WORK, at, git};

/// A company whose confined agents find what these commands have made.
fn company(warm: &str, more: &str) -> Company {
    let text = WORK.replace("sandbox.level = \"none\"\n", "").replace("workspace.mode = \"scratch\"\n", "");
    let warm = format!("{text}\n[retry]\nmax_attempts = 1\n[workspace]\nwarm = {warm}\n{more}");
    let place = Place::with(&[("work", &warm)]);
    let project = place.path("project");
    place.write("project/README", "hello\n");
    place.write("project/.gitignore", "node_modules\n");
    git(&project, &["init", "-q", "-b", "main"]);
    git(&project, &["config", "user.name", "Ann"]);
    git(&project, &["config", "user.email", "ann@example.org"]);
    git(&project, &["add", "."]);
    git(&project, &["commit", "-q", "-m", "first"]);
    Company::up(&place)
}

/// Whether this machine has layers; a machine that hasn't says so in the log, and works.
fn has_layers(log: &str) -> bool {
    let lacks = log.contains("warm: its workspace is no layers over a prepared checkout; the agent starts without it");
    if lacks {
        eprintln!("skipped: no layers here");
    }
    !lacks
}

/// Ends a task; returns its log.
fn done(company: &Company, script: &str, state: &str) -> String {
    let id = company.delegate(&[script]);
    let answer = company.ended(&id);
    assert_eq!(at(&answer, "task.status"), state, "{answer:#}");
    company.run(&["logs", &id]).done()
}

const INSTALL: &str = r#"["mkdir node_modules && echo v1 > node_modules/dependency && echo fetched > ~/fetched", "echo said; echo $GREETING >> README"]"#;

#[test]
fn commands_run_once_and_each_task_has_what_they_made() {
    let company = company(INSTALL, "[environment.set]\nGREETING = \"hi\"\n");
    let look = "cat node_modules/dependency ~/fetched README; echo mine > node_modules/mine; echo mine > ~/mine";
    let log = done(&company, look, "completed");
    if !has_layers(&log) {
        return;
    }
    let began = log.find("warm: runs `mkdir node_modules").unwrap();
    let said = log.find("\nsaid\n").unwrap();
    let seen = log.find("\nv1\n").unwrap();
    assert!(began < said && said < seen, "{log}");
    let log = done(&company, &format!("test ! -e ~/mine && test ! -e node_modules/mine && {look}"), "completed");
    assert!(!log.contains("warm:") && log.contains("v1") && log.contains("fetched"), "{log}");
    assert!(log.contains("hello") && !log.contains("hi"), "what is tracked is as it was committed: {log}");

    // A new commit is a new checkout.
    let project = company.path("project");
    git(&project, &["commit", "-q", "--allow-empty", "-m", "second"]);
    let log = done(&company, look, "completed");
    assert!(log.contains("warm: runs `mkdir node_modules"), "{log}");
}

#[test]
fn a_command_that_fails_is_told_of_and_the_agent_starts_without() {
    let company = company(r#"["echo half > half", "exit 7", "touch third"]"#, "");
    let log = done(&company, "ls -A; test ! -e half && test ! -e third", "completed");
    if has_layers(&log) {
        assert!(log.contains("warm: `exit 7` exited with code 7; the agent starts without it"), "{log}");
    }
}

#[test]
fn its_commands_are_confined_as_the_agent_is() {
    let company = company(
        r#"["ls /proc/*/exe; cat ../../nexus.toml; echo out > ../out; ip route; exit 1"]"#,
        "[sandbox]\nnetwork = \"none\"\n",
    );
    let log = done(&company, "true", "completed");
    if has_layers(&log) {
        assert!(log.contains("nexus.toml: No such file"), "{log}");
        assert!(!company.path("data/workspaces/out").exists());
    }
}

#[test]
fn a_task_is_cancelled_while_they_run_and_nothing_of_them_is_left() {
    let company = company(r#"["echo begun; exec sleep 5432"]"#, "");
    let id = company.delegate(&["true"]);
    let log = until("the command to run", || {
        let log = company.run(&["logs", &id]).done();
        (log.contains("begun") || log.contains("without it")).then_some(log)
    });
    if !has_layers(&log) {
        return;
    }
    let mark = format!("NEXUS_TASK_ID={id}");
    assert!(!marked(&mark).is_empty());
    company.run(&["cancel", &id]).done();
    assert_eq!(marked(&mark), []);
    assert_eq!(at(&company.status(&id), "task.status"), "cancelled");
}
