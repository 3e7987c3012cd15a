//! A company in the background: `nexus up --detach`, and MCP clients that start one.

use std::net::TcpListener;
use std::sync::Arc;

use crate::support::processes::{assert_none, until};
use crate::support::server::Server;
use crate::support::{Place, Ran, WORK, at};

/// Stops the place's company when the test is over, whichever way.
struct Stops(Arc<Place>);

impl Drop for Stops {
    fn drop(&mut self) {
        let _ = self.0.run(&["down"]);
    }
}

fn place() -> (Arc<Place>, Stops) {
    let place = Place::new();
    let stops = Stops(Arc::clone(&place));
    (place, stops)
}

#[test]
fn it_returns_when_the_company_is_ready_and_the_company_stays() {
    let (place, _stops) = place();
    let up = place.run(&["up", "--detach", "--listen", "127.0.0.1:0"]);
    let log = place.text("data/up.log");
    assert!(up.stderr.contains(&log) && up.stderr.contains("nexus down"), "{up:?}");
    let ready = up.done();
    assert!(ready.starts_with("nexus ready mcp=http://127.0.0.1:") && ready.lines().count() == 1, "{ready}");
    assert_eq!(place.run(&["run", "echo done"]).done(), "done\n");
    let again = place.run(&["up", "--detach"]);
    assert!(again.stderr.contains("was up already (pid "), "{again:?}");
    assert_eq!(again.done(), ready);
    let log = place.run(&["logs", "--company"]).done();
    for words in ["work         2 workers", "started: shell in worker-", ": echo done  (task ", "completed in "] {
        assert!(log.contains(words), "{words}\n{log}");
    }
    assert!(!log.contains("\u{1b}"), "{log}");
    let down = place.run(&["down"]).done();
    assert!(down.starts_with("stopped  the company at "), "{down}");
    assert_none(&place.path(""));
    let log = place.run(&["logs", "--company", "-f"]);
    assert!(log.stderr.contains("the last one that ran in the background"), "{log:?}");
    assert!(log.done().contains("stopped\n"));
}

#[test]
fn quiet_leaves_tasks_out_of_the_log() {
    let (place, _stops) = place();
    place.run(&["up", "--detach", "--quiet", "--listen", "127.0.0.1:0"]).done();
    place.run(&["run", "true"]).done();
    place.run(&["down"]).done();
    let log = place.read("data/up.log");
    assert!(log.starts_with("nexus ready ") && !log.contains("started:"), "{log}");
}

#[test]
fn why_it_failed_is_shown() {
    let (place, _stops) = place();
    place.department("work", "workerz = 1\n");
    place.run(&["up", "--detach"]).fails(2, &["workerz", "could not be started in the background", "data/up.log"]);
    place.department("work", WORK);
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap().to_string();
    let said = place.run(&["up", "--detach", "--listen", &address]).fails(1, &["is taken by another program"]);
    // What an earlier start has said is not this one's.
    assert!(!said.contains("workerz"), "{said}");
}

#[test]
fn of_two_starts_at_once_both_get_the_same_company() {
    let (place, _stops) = place();
    let starts: Vec<_> =
        (0..3).map(|_| place.start(&["-o", "json", "up", "--detach", "--listen", "127.0.0.1:0"])).collect();
    let pids: Vec<_> = starts
        .into_iter()
        .map(|start| {
            let answer: serde_json::Value = serde_json::from_str(&start.end().done()).unwrap();
            at(&answer, "pid").as_u64().unwrap()
        })
        .collect();
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
}

/// An MCP client's first words; the answer comes when the company is there.
const INITIALIZE: &str = concat!(
    r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"#,
    r#""clientInfo":{"name":"test","version":"1"}}}"#,
    "\n"
);

#[test]
fn an_mcp_client_starts_a_company_on_the_configured_address_or_on_a_free_one() {
    let (place, _stops) = place();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    place.write("config/nexus.toml", &format!("shutdown_grace = \"500ms\"\nweb.listen = \"{address}\"\n"));
    let said = |ran: Ran| assert!(ran.done().contains("\"serverInfo\""));
    said(place.run_reading(&["mcp", "--start"], INITIALIZE.as_bytes()));
    let web = at(&place.json(&["status"]), "process.web").clone();
    assert_ne!(web, format!("http://{address}/"));
    let log = place.read("data/up.log");
    assert!(log.contains(&format!("{address} is taken by another program; listening on ")), "{log}");
    place.run(&["down"]).done();
    drop(held);
    said(place.run_reading(&["mcp", "--start"], INITIALIZE.as_bytes()));
    assert_eq!(at(&place.json(&["status"]), "process.web"), &format!("http://{address}/"));
}

#[test]
fn a_start_waits_for_somebody_who_only_looks() {
    let (place, _stops) = place();
    place.run(&["run", "true"]).done();
    let looks: Vec<_> = (0..3).map(|_| place.start(&["list", "--all"])).collect();
    place.run(&["up", "--detach", "--listen", "127.0.0.1:0"]).done();
    looks.into_iter().for_each(|look| assert!(look.end().done().contains("1 of 1")));
    until("the company", || (place.run(&["health"]).code == Some(0)).then_some(()));
}

#[test]
fn of_several_nodes_each_has_a_company_of_its_own() {
    let server = Server::start();
    let (first, second) = (place(), place());
    let pids: Vec<_> = [&first.0, &second.0]
        .map(|place| {
            let up = place.json(&["up", "--detach", "--nats", &server.url(), "--listen", "127.0.0.1:0"]);
            assert_eq!(at(&up, "was_up"), false);
            assert_eq!(at(&up, "data_dir"), &place.text("data"));
            // Whichever CEO answers.
            assert_eq!(at(&place.json(&["status"]), "process"), &process(up.clone()));
            at(&up, "pid").clone()
        })
        .into();
    assert_ne!(pids[0], pids[1]);
    for ((place, _), pid) in [&first, &second].into_iter().zip(pids) {
        assert_eq!(at(&place.json(&["down"]), "pid"), &pid);
    }
}

/// The process that `up --detach` has told of.
fn process(mut up: serde_json::Value) -> serde_json::Value {
    up.as_object_mut().unwrap().remove("was_up");
    up
}
