//! A company that can't start says why, in a moment, and leaves nothing behind.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::support::processes::{marked, until};
use crate::support::{Company, Place, WORK, at};

const UP: [&str; 3] = ["up", "--listen", "127.0.0.1:0"];

#[test]
fn two_on_one_data_directory() {
    let company = Company::new();
    let pid = format!("{}", company.pid());
    company.run(&UP).fails(4, &[&pid]);
    // The first is none the worse for it.
    assert_eq!(company.run(&["run", "echo works"]).done(), "works\n");
}

#[test]
fn a_taken_port() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = place.run(&["up", "--listen", &address]);
    ran.fails(1, &[&address]);
    assert_eq!(place.json(&["broker", "status"])["running"], serde_json::Value::Null);
}

#[test]
fn directories_that_can_t_be() {
    let place = Place::new();
    let file = place.text("config/nexus.toml");
    let ran = place.run(&["up", "--listen", "127.0.0.1:0", "--data-dir", &file]);
    ran.fails(1, &[&file, "is not a directory"]);
    let missing = place.text("missing");
    place.run(&["up", "--listen", "127.0.0.1:0", "--config", &missing]).fails(2, &[&missing]);
    place.run(&["config", "check", "--config", &missing]).fails(2, &[&missing]);
}

#[test]
fn another_machine_s_address() {
    let place = Place::new();
    let said = place.run(&["up", "--listen", "0.0.0.0:0"]);
    assert_ne!(said.code, Some(0));
    assert!(said.stderr.contains("0.0.0.0") && said.stderr.contains("127.0.0.1"), "{}", said.stderr);
}

#[test]
fn broken_files_are_all_named() {
    let place =
        Place::with(&[("work", &WORK.replace("workers = 2", "wrokers = 2")), ("other", "workers = \"many\"\n")]);
    place.run(&UP).fails(2, &["departments/work.toml:2", "did you mean", "workers", "departments/other.toml:1"]);
    place.run(&["config", "check"]).fails(2, &["departments/work.toml:2", "departments/other.toml:1"]);
    place.run(&["run", "true"]).fails(2, &["departments/work.toml:2"]);
    place.run(&["doctor"]).fails(9, &[]);
}

#[test]
fn what_is_not_enforced_yet_is_not_ignored() {
    let place = Place::with(&[("work", &format!("{WORK}\nlimits.memory = \"1GiB\"\nsandbox.level = \"confined\"\n"))]);
    place.run(&UP).fails(2, &["limits.memory", "sandbox"]);
}

#[test]
fn a_server_that_is_too_old() {
    let place = Place::new();
    place.write("old", "#!/bin/sh\necho 'nats-server: v2.9.10'\n");
    std::fs::set_permissions(place.path("old"), PermissionsExt::from_mode(0o755)).unwrap();
    place.write("config/nexus.toml", &format!("[broker]\nserver = \"{}\"\n", place.text("old")));
    place.run(&UP).fails(6, &["2.9.10 is too old", "2.12.0"]);
    let status = place.json(&["broker", "status"]);
    assert!(at(&status, "rejected.0.reason").as_str().unwrap().contains("too old"), "{status:#}");
    place.write("config/nexus.toml", "[broker]\nserver = \"/no/such/server\"\n");
    place.run(&UP).fails(6, &["/no/such/server"]);
}

#[test]
fn a_broker_that_is_not_there() {
    let place = Place::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("nats://me:s3cret@{free}");
    let said = place.run(&["up", "--listen", "127.0.0.1:0", "--nats", &url]).fails(6, &[&free.to_string()]);
    assert!(!said.contains("s3cret"), "{said}");
}

#[test]
fn told_to_stop_while_it_starts() {
    let place = Place::new();
    let started = place.text("started");
    let server =
        format!("#!/bin/sh\n[ \"$1\" = -v ] && echo 'nats-server: v2.12.0' && exit\ntouch {started}\nexec sleep 600\n");
    place.write("server", &server);
    std::fs::set_permissions(place.path("server"), PermissionsExt::from_mode(0o755)).unwrap();
    place.write("config/nexus.toml", &format!("[broker]\nserver = \"{}\"\n", place.text("server")));
    for (args, signal, code) in [
        (&["run", "true"][..], Signal::INT, 130),
        (&["run", "true"], Signal::TERM, 130),
        (&UP, Signal::INT, 0),
        (&UP, Signal::TERM, 0),
    ] {
        let starting = place.start(args);
        until("the server's start", || place.path("started").exists().then_some(()));
        starting.signal(signal);
        assert_eq!(starting.end().code, Some(code), "{args:?}, {signal:?}");
        until("the server's end", || marked(&place.text("")).is_empty().then_some(()));
        std::fs::remove_file(&started).unwrap();
    }
}
