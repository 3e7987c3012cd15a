//! Fewer open files than the workers need: agents wait for one another, and no attempt is used up by that.
#![cfg(target_os = "linux")]

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::support::{Company, WORK, at};

#[test]
fn agents_wait_for_one_another() {
    let company = Company::with(&[("work", &WORK.replace("workers = 2", "workers = 12"))]);
    let pid = Pid::from_raw(company.pid().cast_signed()).unwrap();
    let open = std::fs::read_dir(format!("/proc/{}/fd", company.pid())).unwrap().count() as u64;
    // Room for a few agents, of three pipes and a process handle each, while three times as many are asked for.
    let limit = Rlimit { current: Some(open + 18), maximum: Some(open + 18) };
    prlimit(Some(pid), Resource::Nofile, limit).unwrap();
    let tasks: Vec<_> = (0..24).map(|n| company.delegate(&[&format!("sleep 0.5; echo {n}")])).collect();
    let mut waited = 0;
    for task in &tasks {
        let answer = company.ended(task);
        assert_eq!(at(&answer, "task.status"), "completed", "{answer:#}");
        assert_eq!(at(&answer, "task.attempt"), 1, "{answer:#}");
        waited +=
            usize::from(company.run(&["logs", task]).done().contains("waits until the machine has what it needs"));
    }
    assert!(waited > 0, "no agent had to wait: {}", company.read("log"));
}
