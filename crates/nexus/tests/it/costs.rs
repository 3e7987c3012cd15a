//! The number of NATS messages that a task costs, against `bench/costs.toml`: on any machine the same, whatever it is worth.

use std::sync::Mutex;
use std::time::Instant;

use crate::support::processes::until;
use crate::support::server::Server;
use crate::support::{Company, Place, WORK, at};

const TASKS: u64 = 100;
/// Messages of the company meanwhile, whatever it does: leases, looks at queues that wake nobody. An idle one: 6 in a second.
const BESIDE_IN_A_SECOND: u64 = 10;

#[test]
fn messages_of_a_task() {
    let server = Server::start();
    let place =
        Place::with(&[("work", &format!("{}agents = [\"true\"]\n", WORK.replace("workers = 2", "workers = 8")))]);
    place.write("config/nexus.toml", "[agents.true]\nkind = \"command\"\ncommand = [\"/bin/true\"]\n");
    let company = Company::up_with(&place, &["--nats", &server.url()], &[]);
    company.run(&["run", "warm up"]).done();
    let (begin, ledger, sent) = (Instant::now(), ledger(&server), received(&server));

    let next = Mutex::new(0..TASKS);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while next.lock().unwrap().next().is_some() {
                    company.delegate(&["anything"]);
                }
            });
        }
    });
    // The monitoring port is no client: asking there again and again isn't counted.
    until("all entries and events", || (self::ledger(&server) >= ledger + 3 * TASKS).then_some(()));
    until("all are done", || {
        (at(&company.json(&["list", "--status", "completed", "--limit", "1"]), "total") == TASKS + 1).then_some(())
    });
    let (written, sent) = (self::ledger(&server) - ledger, received(&server) - sent);
    println!("{TASKS} tasks: {written} messages on the ledger, {sent} messages to the server");

    let (exactly, at_most) = (bound("ledger_per_task"), bound("server_per_task"));
    let beside = BESIDE_IN_A_SECOND * (begin.elapsed().as_secs() + 1);
    assert_eq!(written, exactly * TASKS, "on the ledger, where bench/costs.toml has {exactly} a task");
    assert!(
        sent <= at_most * TASKS + beside,
        "{sent} messages to the server for {TASKS} tasks, and bench/costs.toml allows {at_most} a task: find out which are \
         new, or change messages.server_per_task there"
    );
}

/// A figure of `[messages]`.
fn bound(name: &str) -> u64 {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench/costs.toml");
    let figures: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    let bound = figures["messages"].get(name).and_then(toml::Value::as_integer);
    u64::try_from(bound.unwrap_or_else(|| panic!("{path} has no messages.{name}"))).unwrap()
}

/// Messages that the ledger has ever taken.
fn ledger(server: &Server) -> u64 {
    let streams = server.monitor("jsz?streams=true");
    let streams = at(&streams, "account_details.0.stream_detail").as_array().unwrap();
    let ledger = streams.iter().find(|stream| stream["name"] == "NEXUS_TASKS").unwrap();
    at(ledger, "state.last_seq").as_u64().unwrap()
}

/// Messages that the server has had from its clients.
fn received(server: &Server) -> u64 {
    at(&server.monitor("varz"), "in_msgs").as_u64().unwrap()
}
