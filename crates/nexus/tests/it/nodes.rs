//! Two nodes of one company, on one broker: what one has in hand when it dies or stands still is done by the other, and
//! never by both at a time.
#![cfg(target_os = "linux")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::processes::{marked, signal, until};
use crate::support::server::Server;
use crate::support::{Company, Place, at};

/// Short, so that the tests are.
const LEASE: &str = "2s";

fn node(server: &Server, place: &Arc<Place>) -> Company {
    Company::up_with(place, &["--nats", &server.url()], &[("NEXUS_BUS__LEASE", LEASE)])
}

/// Two nodes; the first one's CEO takes work.
fn pair(server: &Server) -> (Company, Company) {
    (node(server, &Place::new()), node(server, &Place::new()))
}

fn name(company: &Company) -> String {
    company.read("data/node").trim().to_owned()
}

fn agents(company: &Company) -> Vec<(u32, String)> {
    marked(&format!("NEXUS_NODE={}", name(company)))
}

/// Runs alone or says so: the lock is free when no process of an earlier run is alive. Ends when `gate` is written.
fn alone(home: &Company, gate: &str) -> String {
    let (lock, overlap, gate) = (home.text("lock"), home.text("overlap"), home.text(gate));
    format!("exec 9> {lock}; flock -n 9 || touch {overlap}; until [ -e {gate} ]; do sleep 0.02; done")
}

/// A task that runs on `wanted`; the other node's workers are kept busy until then.
fn on(wanted: &Company, other: &Company, home: &Company, command: &str) -> String {
    loop {
        let task = home.delegate(&[command]);
        let status = home.becomes(&task, "running");
        if at(&status, "task.node") == name(wanted).as_str() {
            return task;
        }
        assert_eq!(at(&status, "task.node"), name(other).as_str());
        home.run(&["cancel", &task]).done();
    }
}

#[test]
fn what_a_dead_node_had_in_hand_is_done_by_the_other() {
    let server = Server::start();
    let (first, second) = pair(&server);
    let task = on(&first, &second, &second, &alone(&second, "gate"));
    let dead = name(&first);
    let died = Instant::now();
    let _dead = first.kill();
    // The second one's CEO has taken over when it answers.
    let status = until("another run", || {
        let ran = second.run(&["-o", "json", "status", &task]);
        let status: serde_json::Value = serde_json::from_str(&ran.stdout).ok()?;
        (status.pointer("/task/node")? == name(&second).as_str()).then_some(status)
    });
    assert!(died.elapsed() >= Duration::from_secs(1), "before the lease can have lapsed");
    assert_eq!((at(&status, "task.interruptions"), at(&status, "task.attempt")), (&1.into(), &1.into()));
    assert!(marked(&format!("NEXUS_NODE={dead}")).is_empty());
    second.open("gate");
    assert_eq!(at(&second.ended(&task), "task.status"), "completed");
    assert!(!second.path("overlap").exists());
}

#[test]
fn a_node_that_stood_still_gives_up_what_the_other_has_taken() {
    let server = Server::start();
    let (first, second) = pair(&server);
    let task = on(&first, &second, &first, &alone(&second, "gate"));
    signal(first.pid(), Signal::STOP);
    // Its guard ends its agents while it can't.
    until("the end of its agents", || agents(&first).is_empty().then_some(()));
    until("another run", || {
        let ran = second.run(&["-o", "json", "status", &task]);
        let status: serde_json::Value = serde_json::from_str(&ran.stdout).ok()?;
        (status.pointer("/task/node")? == name(&second).as_str()).then_some(())
    });
    signal(first.pid(), Signal::CONT);
    // It goes on as the other's equal, and has nothing to say of what it had.
    let again = on(&first, &second, &second, &format!("until [ -e {} ]; do sleep 0.02; done", second.text("again")));
    second.open("again");
    assert_eq!(at(&second.ended(&again), "task.status"), "completed");
    second.open("gate");
    let ended = second.ended(&task);
    assert_eq!((at(&ended, "task.status"), at(&ended, "task.attempt")), (&"completed".into(), &1.into()));
    assert!(!second.path("overlap").exists());
}

#[test]
fn a_cancel_during_a_node_s_death_is_answered_when_nothing_lives() {
    let server = Server::start();
    let (first, second) = pair(&server);
    // The first one's CEO is asked, and it is the second that dies.
    let task = on(&second, &first, &first, &alone(&first, "gate"));
    let dead = name(&second);
    let place = second.kill();
    first.run(&["cancel", &task]).done();
    assert!(marked(&format!("NEXUS_NODE={dead}")).is_empty());
    assert_eq!(at(&first.status(&task), "task.status"), "cancelled");
    let second = node(&server, &place);
    assert_eq!(at(&second.status(&task), "task.status"), "cancelled");
}

#[test]
fn a_node_that_leaves_hands_over_at_once() {
    let server = Server::start();
    let (first, second) = pair(&server);
    let task = on(&first, &second, &second, &alone(&second, "gate"));
    let place = first.stop();
    let left = Instant::now();
    let done = second.run(&["run", "echo works"]);
    assert!(left.elapsed() < Duration::from_secs(2), "it waited for a lease that had been given back");
    assert_eq!(done.done(), "works\n");
    second.open("gate");
    assert_eq!(at(&second.ended(&task), "task.status"), "completed");
    let first = node(&server, &place);
    assert_eq!(first.run(&["run", "echo works"]).done(), "works\n");
}

#[test]
fn nodes_that_would_not_agree_are_refused() {
    let server = Server::start();
    let first = node(&server, &Place::new());
    let other = Place::new();
    let args = ["up", "--listen", "127.0.0.1:0", "--nats", &server.url()];
    let ran = other.nexus(&args).env("NEXUS_BUS__LEASE", "5s").output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(!ran.status.success() && said.contains("lease") && said.contains(&name(&first)), "{said}");
    for (lease, reason) in [("0.5s", "from 1s to 10m"), ("1h", "from 1s to 10m")] {
        let ran = other.nexus(&["config", "check"]).env("NEXUS_BUS__LEASE", lease).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(!ran.status.success() && said.contains(reason), "{said}");
    }
}
