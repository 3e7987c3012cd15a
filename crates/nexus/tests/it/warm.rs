//! `[workspace] warm`: what its commands make is there for every task, and they run once.
#![cfg(target_os = "linux")]

use std::sync::Arc;

use crate::support::processes::{marked, until};
use crate::support::{Company, Place, WORK, at, git};

/// A company whose confined agents find what these commands have made.
fn company(warm: &str, more: &str) -> Company {
    Company::up(&place(warm, more))
}

fn place(warm: &str, more: &str) -> Arc<Place> {
    let text = WORK.replace("sandbox.level = \"none\"\n", "").replace("workspace.mode = \"scratch\"\n", "");
    let warm = format!("{text}\n[workspace]\nwarm = {warm}\n{more}");
    let place = Place::with(&[("work", &warm)]);
    let project = place.path("project");
    place.write("project/README", "hello\n");
    place.write("project/.gitignore", "node_modules\n");
    git(&project, &["init", "-q", "-b", "main"]);
    git(&project, &["config", "user.name", "Ann"]);
    git(&project, &["config", "user.email", "ann@example.org"]);
    git(&project, &["add", "."]);
    git(&project, &["commit", "-q", "-m", "first"]);
    place
}

/// True if this machine has layers; a machine that hasn't says so in the log, and works.
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

    // Nothing is left of the homes.
    let homes = || std::fs::read_dir(company.path("data/homes")).into_iter().flatten().count();
    until("the homes to be removed", || (homes() == 0).then_some(()));

    // A new commit is a new checkout.
    let project = company.path("project");
    git(&project, &["commit", "-q", "--allow-empty", "-m", "second"]);
    let log = done(&company, look, "completed");
    assert!(log.contains("warm: runs `mkdir node_modules"), "{log}");
}

#[test]
fn the_next_attempt_has_the_home_that_the_last_one_left_over_it() {
    let company = company(INSTALL, "[retry]\nmax_attempts = 2\nbackoff = { initial = \"1ms\" }\n");
    let log =
        done(&company, "cat ~/fetched; cat ~/mine && exit 0; echo mine > ~/mine; rm ~/fetched; exit 3", "completed");
    // The second one finds that the first has removed what was below.
    if has_layers(&log) {
        assert!(log.contains("fetched: No such file"), "{log}");
    }
}

/// There an agent reaches its home and its temporary files alone of what is private to its task.
#[test]
fn by_landlock_alone_homes_are_not_shared() {
    let place = place(INSTALL, "");
    let company = Company::up_confined_by(&place, "landlock");
    let plant = "cat node_modules/dependency; test ! -e ~/fetched && ! ls -A ~/..";
    let log = done(&company, plant, "completed");
    if has_layers(&log) {
        assert!(log.contains("\nv1\n") && !log.contains("home.") && !company.path("data/homes").exists(), "{log}");
    }
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
    let company =
        company(r#"["cat ../../company.json; echo out > ../out; exit 1"]"#, "[sandbox]\nnetwork = \"none\"\n");
    let log = done(&company, "true", "completed");
    if has_layers(&log) {
        // It is there, for everybody else.
        assert!(company.path("data/company.json").exists() && log.contains("company.json: No such file"), "{log}");
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
    // The log tells of a command before that runs.
    until("its process", || (!marked(&mark).is_empty()).then_some(()));
    company.run(&["cancel", &id]).done();
    assert_eq!(marked(&mark), []);
    assert_eq!(at(&company.status(&id), "task.status"), "cancelled");
}
