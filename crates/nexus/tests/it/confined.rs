//! Confined agents in a company: what they try, what the result says, and what is left of them.
#![cfg(target_os = "linux")]

use serde_json::Value;

use crate::support::processes::{marked, until};
use crate::support::{Company, Place, WORK, at, git};

/// A department as it is when nothing is said of its sandbox.
fn default() -> String {
    WORK.replace("sandbox.level = \"none\"\n", "")
}

fn ended(company: &Company, command: &str) -> Value {
    let id = company.delegate(&[command]);
    company.ended(&id)
}

#[test]
fn the_company_and_its_other_tasks_are_out_of_reach() {
    let company = Company::with(&[("work", &default())]);
    let data = company.path("data");
    let data = data.canonicalize().unwrap();
    let other = company.delegate(&["echo secret > work; echo secret > $HOME/secret; sleep 1000"]);
    company.becomes(&other, "running");
    let script = format!(
        "try() {{ \"$@\" >/dev/null 2>&1 && echo \"did $*\"; }}
         try cat {data}/company.json; try cat {data}/broker/identity.json; try cat {data}/workspaces/{other}/work
         touch {data}/evil 2>/dev/null; try cat {data}/private/{other}/home/secret; try kill -9 {pid}; try cat /proc/{pid}/environ
         for pid in $(ls /proc | grep -x '[0-9]*'); do
             if tr '\\0' '\\n' < /proc/$pid/environ 2>/dev/null | grep -q 'NEXUS_TASK_ID={other}'; then echo did see it; fi
         done
         mkdir -p $HOME/.config && echo mine > $HOME/.config/x && echo end",
        data = data.display(),
        pid = company.pid(),
    );
    let answer = ended(&company, &script);
    assert_eq!(at(&answer, "task.result.output"), "end\n", "{answer:#}");
    // What it has written there, if anything, was its own /tmp.
    assert!(!data.join("evil").exists());
    let protection = at(&answer, "task.result.protection");
    assert!(matches!(protection["sandbox"].as_str(), Some("namespaces" | "landlock")), "{protection}");
    assert!(at(&answer, "task.result.usage.peak_memory_bytes").as_u64().unwrap() > 0);
    // What was private to it is gone with it.
    let private = || std::fs::read_dir(data.join("private")).unwrap().count();
    until("the end of what was private", || (private() == 1).then_some(()));
    let workers = company.json(&["workers"]);
    assert!(workers.to_string().contains("\"protection\":{"), "{workers}");
    company.run(&["cancel", &other]).done();
    assert_eq!(marked(&format!("NEXUS_TASK_ID={other}")), []);
}

#[test]
fn a_home_tells_the_next_task_nothing() {
    let company = Company::with(&[("work", &default().replace("workers = 2", "workers = 1"))]);
    let listed = || {
        let answer = ended(&company, "find ~ /tmp ! -newermt 2001-01-01 -o -name '*left*' | head -20; echo end");
        at(&answer, "task.result.output").as_str().unwrap().to_owned()
    };
    let fresh = listed();
    for left in [
        "mkdir ~/left",
        "echo left > ~/left",
        "touch -d 2000-01-01 ~/* ~/.[a-z]* ~ /tmp; true",
        "for d in ~ $(find ~ -type d -empty 2>/dev/null | head -3); do mkdir -p $d/left; done; rmdir ~/left; true",
        "ln -s /etc ~/left; ln -s / /tmp/left",
    ] {
        let answer = ended(&company, left);
        assert_eq!(at(&answer, "task.status"), "completed", "{left}: {answer:#}");
        assert_eq!(listed(), fresh, "{left}");
    }
}

#[test]
fn a_commit_comes_back_and_a_hook_does_not() {
    let place = Place::with(&[("work", &default().replace("workspace.mode = \"scratch\"\n", ""))]);
    place.write("project/README", "hello\n");
    let project = place.path("project");
    git(&project, &["init", "-q", "-b", "main"]);
    git(&project, &["config", "user.name", "Ann"]);
    git(&project, &["config", "user.email", "ann@example.org"]);
    git(&project, &["add", "."]);
    git(&project, &["commit", "-q", "-m", "first"]);
    let company = Company::up(&place);
    let sign = company.path("sign");
    let script = format!(
        "echo new > file && git add file && git commit -q -m 'by the agent'
         mkdir -p .git/hooks; printf '#!/bin/sh\\ntouch {sign}\\n' > .git/hooks/post-checkout; chmod +x .git/hooks/*
         git config core.fsmonitor 'touch {sign}'; git config core.hooksPath .git/hooks
         echo evil >> {project}/.git/config; touch {project}/.git/hooks/evil; echo end",
        sign = sign.display(),
        project = project.canonicalize().unwrap().display(),
    );
    let answer = ended(&company, &script);
    assert_eq!(at(&answer, "task.status"), "completed", "{answer:#}");
    let workspace = at(&answer, "task.result.workspace");
    assert_eq!((&workspace["mode"], &workspace["kept"]), (&"clone".into(), &false.into()), "{workspace}");
    let branch = workspace["branch"].as_str().unwrap();
    assert_eq!(git(&project, &["log", "-1", "--format=%s %an", branch]), "by the agent Ann\n");
    git(&project, &["checkout", "-q", branch]);
    assert!(!sign.exists());
}

#[test]
fn what_the_machine_cannot_hold_is_refused_and_not_tried_again() {
    // The home of its user is the directory of this test.
    let place = Place::with(&[("work", &default())]);
    place.department("work", &format!("{}sandbox.read = [{:?}]\n", default(), place.text("")));
    let company = Company::up(&place);
    let id = company.delegate(&["cat ~/.ssh/id"]);
    let answer = company.ended(&id);
    assert_eq!(at(&answer, "task.status"), "failed");
    assert_eq!(at(&answer, "task.attempt"), 1, "{answer:#}");
    let error = at(&answer, "task.error").as_str().unwrap();
    assert!(error.contains("holds the user's home") && error.contains("sandbox.read"), "{error}");
}

#[test]
fn what_was_private_to_a_task_that_is_over_is_swept_up() {
    let company = Company::with(&[("work", &default())]);
    let id = company.delegate(&["sleep 1000"]);
    company.becomes(&id, "running");
    let private = company.path("data/private");
    assert!(private.join(&id).exists());
    // Killed, and ended by a cancel before it is begun again: nobody has it in hand.
    let place = company.kill();
    let text = default().replace("workers = 2", "workers = 1");
    place.department("work", &text);
    let company = Company::up(&place);
    company.run(&["cancel", &id]).done();
    let place = company.stop();
    let company = Company::up(&place);
    until("the end of what was private", || (!private.join(&id).exists()).then_some(()));
    company.stop();
}

#[test]
fn fifty_agents_of_a_killed_company_are_gone_within_a_second() {
    let company = Company::with(&[("work", &default().replace("workers = 2", "workers = 50"))]);
    let escape = "for i in 1 2; do setsid sh -c 'trap \"\" INT TERM HUP; (trap \"\" TERM; sleep 1000) & exit' & done; sleep 1000";
    for _ in 0..50 {
        company.delegate(&[escape]);
    }
    let mark = format!("NEXUS_NODE={}", company.read("data/node").trim());
    until("all of them", || (marked(&mark).len() >= 150).then_some(()));
    let server = company.path("data/broker").display().to_string();
    let _place = company.kill();
    let killed = std::time::Instant::now();
    until("the end of its agents", || marked(&mark).is_empty().then_some(()));
    // A second is the promise; tests share their machine.
    assert!(killed.elapsed().as_secs() < 10, "{:?}", killed.elapsed());
    // Killed with the company, it waits for its turn to end.
    until("the end of its server", || marked(&server).is_empty().then_some(()));
}
