//! A company that is the first process of a container: it reaps what others leave behind there, and ends when it is told to.
#![cfg(target_os = "linux")]
#![expect(clippy::disallowed_types, reason = "a namespace, as a container engine makes one")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use crate::support::Place;
use crate::support::processes::{signal, until};

/// A parent that is killed takes the rest with it.
const NAMESPACES: [&str; 5] = ["-p", "-f", "-m", "--mount-proc", "--kill-child"];

/// A company in namespaces, which ends with the test, however that ends.
struct Contained(Child);

impl Drop for Contained {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_reaps_what_is_left_to_it() {
    let tried = Command::new("unshare").args(NAMESPACES).args(["nsenter", "-t", "1", "-p", "-m", "true"]).output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        return eprintln!("skipped: this user can't make a namespace of processes and enter it");
    }
    let place = Place::new();
    let nexus = place.nexus(&["up", "--listen", "127.0.0.1:0"]);
    let mut command = Command::new("unshare");
    command.args(NAMESPACES).arg(nexus.get_program()).args(nexus.get_args());
    for (name, value) in nexus.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut company = Contained(command.current_dir(place.path("project")).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(company.0.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("nexus ready "));
    let children = format!("/proc/{0}/task/{0}/children", company.0.id());
    let first: u32 = std::fs::read_to_string(children).unwrap().trim().parse().unwrap();
    // As somebody does who starts something in the background by `docker exec`.
    let said = place.path("said");
    let script = format!("(sh -c 'echo {{}} >> {}' &)", said.display());
    for _ in 0..5 {
        let entered =
            Command::new("nsenter").args(["-t", &first.to_string(), "-p", "-m", "sh", "-c", &script]).status();
        assert!(entered.unwrap().success());
    }
    until("what was left behind to end", || {
        let said = std::fs::read_to_string(&said).unwrap_or_default();
        (said.lines().count() == 5).then_some(())
    });
    until("all of it to be reaped", || zombies(first).is_empty().then_some(()));
    // A signal is handed on, and its exit code is the company's.
    signal(first, Signal::TERM);
    assert_eq!(company.0.wait().unwrap().code(), Some(0));
}

/// Children of a process that have ended and that nobody has waited for.
fn zombies(parent: u32) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let stats = processes.filter_map(|process| std::fs::read_to_string(process.path().join("stat")).ok());
    let is_left = |stat: &String| {
        let rest = stat.rsplit(") ").next().unwrap_or_default();
        rest.starts_with(&format!("Z {parent} "))
    };
    stats.filter(is_left).collect()
}
