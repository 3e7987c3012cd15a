//! A NATS server that is there already: used, and left running.

use std::net::TcpStream;

use crate::support::processes::until;
use crate::support::server::Server;
use crate::support::{Company, Place, at};

#[test]
fn it_is_used_and_left_running() {
    let mut server = Server::start();
    let place = Place::new();
    let company = Company::up_with(&place, &["--nats", &server.url()], &[]);
    assert_eq!(company.run(&["run", "echo works"]).done(), "works\n");
    assert!(at(&company.json(&["broker", "status"]), "running").is_null());
    // Found by the server alone, too; from another data directory.
    let elsewhere = Place::new();
    let page = elsewhere.json(&["--nats", &server.url(), "list", "--all"]);
    assert_eq!(at(&page, "total"), 1);
    assert!(server.dir.path().join("store/jetstream").exists());
    let said = [company.ready.clone(), company.run(&["doctor"]).done(), company.read("log")].concat();
    assert!(!said.contains("s3cret"), "{said}");
    company.stop();
    assert!(server.child.try_wait().unwrap().is_none());
    TcpStream::connect(format!("127.0.0.1:{}", server.port)).unwrap();
    // The ledger is there, and so is what it says: for a company with an empty data directory as well.
    let company = Company::up_with(&elsewhere, &[], &[("NEXUS_NATS__URL", &server.url())]);
    assert_eq!(at(&company.json(&["list", "--all"]), "tasks.0.status"), "completed");
}

#[test]
fn a_wrong_password_is_said_and_not_shown() {
    let server = Server::start();
    let place = Place::new();
    let url = server.url().replace("s3cret", "wr0ng");
    let ran = place.run(&["up", "--listen", "127.0.0.1:0", "--nats", &url]);
    let said = ran.fails(5, &["refused the credentials", "--creds"]);
    assert!(!said.contains("wr0ng"), "{said}");
    place.run(&["--nats", &url, "list"]).fails(5, &["refused the credentials"]);
}

/// A server with these settings is refused at once, and what is said names what is missing and the way out.
#[track_caller]
fn is_refused(settings: &str, code: i32, said: &[&str]) {
    let server = Server::with(settings);
    let place = Place::new();
    let asked = std::time::Instant::now();
    place.run(&["up", "--listen", "127.0.0.1:0", "--nats", &server.url()]).fails(code, said);
    place.run(&["--nats", &server.url(), "run", "true"]).fails(code, said);
    assert!(asked.elapsed().as_secs() < 20, "{:?}", asked.elapsed());
    place.run(&["--nats", &server.url(), "doctor"]).fails_on_stdout(9, said);
}

const USER: &str = "authorization { user: ann, password: s3cret }";

/// An account with these limits.
fn account(limits: &str) -> String {
    format!(
        "jetstream {{ store_dir: \"ROOT/store\" }}\n\
         accounts {{ A {{ jetstream: {limits}, users: [{{ user: ann, password: s3cret }}] }} }}\n"
    )
}

#[test]
fn a_server_that_is_not_fit_is_refused_with_the_way_out() {
    is_refused(USER, 4, &["no JetStream", "jetstream {}"]);
    let jetstream = format!("jetstream {{ store_dir: \"ROOT/store\" }}\n{USER}\n");
    is_refused(&format!("max_payload: 16KB\n{jetstream}"), 4, &["16384 bytes", "max_payload"]);
    is_refused(&account("{ max_streams: 2 }"), 4, &["may have 2 streams", "max_streams"]);
    is_refused(&account("{ max_bytes_required: true }"), 4, &["max_bytes_required"]);
    is_refused(&account("{ max_file: 100MB }"), 4, &["may store 100 MiB", "max_file"]);
}

#[test]
fn what_a_user_may_not_do_is_named() {
    let may = |publish: &str, subscribe: &str| {
        let permissions = format!("{{ publish: [{publish}], subscribe: [{subscribe}] }}");
        format!(
            "jetstream {{ store_dir: \"ROOT/store\" }}\n\
             authorization {{ users: [{{ user: ann, password: s3cret, permissions: {permissions} }}] }}\n"
        )
    };
    let all = "\"nexus.>\", \"$KV.nexus_lease.>\", \"$JS.API.>\", \"$JS.ACK.>\", \"$SRV.>\", \"_INBOX.>\"";
    let without = |name: &str| all.split(", ").filter(|one| !one.contains(name)).collect::<Vec<_>>().join(", ");
    is_refused(&may(&without("$JS.API"), all), 5, &["$JS.API.INFO", "`$JS.API.>`"]);
    is_refused(&may(&without("nexus."), all), 5, &["nexus.event.probe.probe"]);
    is_refused(&may(all, &without("_INBOX")), 5, &["_INBOX"]);
    is_refused(&may(all, &without("$SRV")), 5, &["$SRV"]);
    // What the way out says is enough.
    let server = Server::with(&may(all, all));
    let place = Place::new();
    let company = Company::up_with(&place, &["--nats", &server.url()], &[]);
    assert_eq!(company.run(&["run", "echo works"]).done(), "works\n");
    company.run(&["doctor"]).done();
}

#[test]
fn small_messages_lose_nothing() {
    let server = Server::with(&format!("max_payload: 64KB\njetstream {{ store_dir: \"ROOT/store\" }}\n{USER}\n"));
    let place = Place::new();
    let company = Company::up_with(&place, &["--nats", &server.url()], &[]);
    // Many lines at once, one that is longer than a message, and bytes that JSON makes six of.
    let id = company
        .delegate(&["seq 30000; head -c 100000 /dev/zero | tr '\\0' x; echo; head -c 30000 /dev/zero; echo; echo end"]);
    let answer = company.ended(&id);
    assert_eq!(at(&answer, "task.status"), "completed", "{answer:#}");
    let log = company.run(&["logs", &id]).done();
    let numbers: Vec<&str> = log.lines().filter(|line| line.parse::<u32>().is_ok()).collect();
    assert_eq!((numbers.len(), numbers.last()), (30000, Some(&"30000")));
    assert_eq!(log.matches('x').count(), 100_000);
    assert_eq!(log.lines().last(), Some("end"));
    // One that takes most of a message itself, and prints as its last words what JSON makes six bytes of: twice in vain.
    // And plain words, which fit into an event, and not into an answer beside the task.
    for letters in ["cat", "tr '\\0' x"] {
        let fill = format!("head -c 16000 /dev/zero | {letters}");
        let script = format!("# {}\n{fill}; {fill} >&2; exit 3", "z".repeat(36_000));
        let id = company.run_reading(&["delegate", "--max-attempts", "2", "-"], script.as_bytes()).done();
        let answer = company.ended(id.trim());
        let ended = (at(&answer, "task.status"), at(&answer, "task.attempt"), at(&answer, "task.result.truncated"));
        assert_eq!(ended, (&"failed".into(), &2.into(), &true.into()), "{answer:#}");
    }
    let kept = |stream: &serde_json::Value| stream["name"] == "NEXUS_DEAD" && stream["state"]["messages"] == 2;
    until("their dead letters", || {
        let streams = server.monitor("jsz?streams=true");
        streams["account_details"][0]["stream_detail"].as_array()?.iter().any(kept).then_some(())
    });
    // A task that is too long is refused before it is queued.
    let long = company.run_reading(&["delegate", "-"], "y".repeat(100_000).as_bytes());
    long.fails(2, &["max_payload", "put the text into a file"]);
    assert_eq!(company.run(&["run", "echo still"]).done(), "still\n");
}
