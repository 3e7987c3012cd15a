//! A server that ends by itself comes back on its port and store, until it does so too often.

use std::fs;

use crate::support::{broker, connect, is_alive, kill, options, temp, wait_for, within};
use nexus_broker::{Status, start};

fn running(pid: u32) -> impl FnMut(&Status) -> bool {
    move |status| matches!(status, Status::Running { pid: now } if *now != pid)
}

#[tokio::test]
async fn a_killed_server_is_back_on_its_port_and_store() {
    let dir = temp();
    let broker = broker(dir.path()).await;
    let mark = dir.path().join("broker/store/mark");
    fs::write(&mark, "kept").unwrap();
    let first = broker.pid().unwrap();
    kill(first);
    wait_for(&broker, running(first)).await;
    assert_eq!(connect(broker.port(), broker.user(), broker.password()), "PONG");
    assert_eq!(fs::read_to_string(mark).unwrap(), "kept");
    let second = broker.pid().unwrap();
    kill(second);
    wait_for(&broker, running(second)).await;
    broker.stop().await;
}

#[tokio::test]
async fn one_that_fails_too_often_is_given_up() {
    let dir = temp();
    let mut options = options(dir.path()).await;
    options.restart.max_restarts = 1;
    let broker = within("a start", start(&options, |_| {})).await.unwrap();
    let first = broker.pid().unwrap();
    kill(first);
    wait_for(&broker, running(first)).await;
    kill(broker.pid().unwrap());
    let end = wait_for(&broker, |status| matches!(status, Status::Failed { .. })).await;
    let Status::Failed { reason, failures: 2 } = end else { panic!("{end:?}") };
    assert!(reason.contains("signal: 9"), "{reason}");
    assert_eq!(broker.pid(), None);
    broker.stop().await;
}

#[tokio::test]
async fn a_server_left_behind_is_ended_before_a_new_one_starts() {
    let dir = temp();
    let options = options(dir.path()).await;
    let first = within("a start", start(&options, |_| {})).await.unwrap();
    let (pid, port) = (first.pid().unwrap(), first.port());
    // Not stopped: as if the company that started it were gone. Its supervisor only sees that it ended.
    let mut status = first.status();
    let (second, ()) = tokio::join!(within("a second start", start(&options, |_| {})), async {
        within("the first to end", status.wait_for(|status| *status != Status::Running { pid })).await.unwrap();
        first.stop().await;
    });
    let second = second.unwrap();
    assert!(!is_alive(pid));
    assert!(second.pid() != Some(pid) && second.port() > 0 && port > 0);
    second.stop().await;
}
