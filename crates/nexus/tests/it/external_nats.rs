//! A NATS server that is there already: used, and left running.

use std::net::TcpStream;

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
