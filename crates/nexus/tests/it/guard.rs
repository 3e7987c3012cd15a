//! The guard: agents don't outlive a company that is killed, and nothing of a guard outlives its company.
#![cfg(target_os = "linux")]

use crate::support::Company;
use crate::support::processes::{assert_none, marked, signal, until};

#[test]
fn a_killed_company_leaves_no_agent_behind() {
    let company = Company::new();
    // One that has left its group and ignores what it can: the mark in its environment is what it can't leave.
    let stray =
        format!("setsid sh -c 'trap \"\" TERM INT HUP; touch {}; sleep 1000' & sleep 1000", company.text("stray"));
    let task = company.delegate(&[&stray]);
    until("the stray", || company.path("stray").exists().then_some(()));
    let node = company.read("data/node");
    let mark = format!("NEXUS_NODE={}", node.trim());
    assert!(marked(&mark).len() >= 3, "{:?}", marked(&mark));
    let place = company.kill();
    // Nobody has started the company again.
    until("the end of its agents", || marked(&mark).is_empty().then_some(()));
    let company = Company::up(&place);
    company.becomes(&task, "running");
    company.run(&["cancel", &task]).done();
    company.stop();
}

#[test]
fn a_guard_that_is_killed_is_replaced() {
    let company = Company::new();
    let guards = |not: u32| {
        let guards = marked("guard NEXUS_RUN").into_iter().map(|(pid, _)| pid);
        guards.filter(|pid| *pid != not && parent(*pid) == Some(company.pid())).collect::<Vec<_>>()
    };
    let first = guards(0)[0];
    signal(first, rustix::process::Signal::KILL);
    let second = until("another guard", || guards(first).first().copied());
    let task = company.delegate(&["sleep 1000"]);
    company.becomes(&task, "running");
    let mark = format!("NEXUS_NODE={}", company.read("data/node").trim());
    let place = company.kill();
    until("the end of its agents", || marked(&mark).is_empty().then_some(()));
    until("the end of the guard", || parent(second).is_none().then_some(()));
    let company = Company::up(&place);
    company.run(&["cancel", &task]).done();
    assert_none(&company.stop().path("none"));
}

fn parent(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}
