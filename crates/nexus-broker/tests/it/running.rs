//! A server that was started: who may talk to it, where its secrets lie, and that it goes when it is told to.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{broker, connect, gone, is_alive, options, temp, tools, within};
use nexus_broker::{BrokerError, start, status};

fn mode(path: impl AsRef<std::path::Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn only_who_knows_the_password_gets_in() {
    let dir = temp();
    let broker = broker(dir.path()).await;
    assert_eq!(broker.url(), format!("nats://127.0.0.1:{}", broker.port()));
    assert_eq!(connect(broker.port(), broker.user(), broker.password()), "PONG");
    assert_eq!(connect(broker.port(), broker.user(), "wrong"), "-ERR 'Authorization Violation'");
    assert_eq!(connect(broker.port(), "", ""), "-ERR 'Authorization Violation'");
    broker.stop().await;
}

#[tokio::test]
async fn the_password_is_in_private_files_only() {
    let dir = temp();
    let broker = broker(dir.path()).await;
    let own = dir.path().join("broker");
    assert_eq!((mode(&own), mode(own.join("nats.conf")), mode(own.join("identity.json"))), (0o700, 0o600, 0o600));
    assert!(!format!("{broker:?}").contains(broker.password()));
    let pid = broker.pid().unwrap();
    for file in ["cmdline", "environ"] {
        let Ok(bytes) = fs::read(format!("/proc/{pid}/{file}")) else { continue };
        assert!(!String::from_utf8_lossy(&bytes).contains(broker.password()), "{file}");
    }
    assert!(!fs::read_to_string(broker.log()).unwrap().contains(broker.password()));
    broker.stop().await;
}

#[tokio::test]
async fn stopping_leaves_no_process_and_the_next_start_is_the_same_server() {
    let dir = temp();
    let first = broker(dir.path()).await;
    let (pid, url, password) = (first.pid().unwrap(), first.url(), first.password().to_owned());
    let shown = status(&tools().await, dir.path()).await;
    assert_eq!(shown.running.map(|running| (running.pid, running.port)), Some((pid, Some(first.port()))));
    within("a stop", first.stop()).await;
    assert!(!is_alive(pid));
    let shown = status(&tools().await, dir.path()).await;
    assert_eq!(shown.running, None);
    assert_eq!(serde_json::to_value(&shown).unwrap()["chosen"]["origin"], "tools");

    let second = broker(dir.path()).await;
    assert_eq!((second.url(), second.password()), (url, password.as_str()));
    second.stop().await;
}

#[tokio::test]
async fn dropping_ends_it_too() {
    let dir = temp();
    let broker = broker(dir.path()).await;
    let (pid, mut status) = (broker.pid().unwrap(), broker.status());
    drop(broker);
    // The status channel closes with the supervisor, which took the server with it.
    within("the end", async { while status.changed().await.is_ok() {} }).await;
    within("the process to go", gone(pid)).await;
}

#[tokio::test]
async fn a_taken_port_is_replaced_and_told() {
    let dir = temp();
    let first = broker(dir.path()).await;
    let port = first.port();
    first.stop().await;
    let _other = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let options = options(dir.path()).await;
    let told = std::sync::Mutex::new(String::new());
    let tell = |progress| told.lock().unwrap().push_str(&format!("{progress:?} "));
    let second = within("a start", start(&options, tell)).await.unwrap();
    assert_ne!(second.port(), port);
    assert!(told.lock().unwrap().contains(&format!("PortTaken {{ port: {port} }}")));
    second.stop().await;
}

#[tokio::test]
async fn any_path_will_do() {
    let dir = temp();
    for name in ["with space", "\"quoted\" 'twice'", "back\\slash $HOME #no {x}", "Größe-日本"] {
        let data = dir.path().join(name);
        let broker = broker(&data).await;
        assert!(data.join("broker/store").join("jetstream").is_dir(), "{name}");
        assert!(data.join("broker/nats.log").is_file(), "{name}");
        broker.stop().await;
    }
}

#[tokio::test]
async fn a_server_that_does_not_start_says_why() {
    let dir = temp();
    // The store's place is taken by a file.
    let mut options = options(dir.path()).await;
    fs::create_dir_all(dir.path().join("broker/store")).unwrap();
    fs::write(dir.path().join("broker/store/jetstream"), "in the way").unwrap();
    options.restart.max_restarts = 0;
    let error = within("a refusal", start(&options, |_| {})).await.unwrap_err();
    assert!(matches!(error, BrokerError::Ended { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("JetStream: storage directory is not a directory") && text.contains("nats.log"), "{text}");
}
