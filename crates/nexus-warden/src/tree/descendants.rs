//! All processes below this one, as the kernel lists them.

use std::fs;

use rustix::process::{Pid, Signal, getpid, kill_process};

/// Signals every descendant, parents before their children. With KILL each is stopped first, so that none forks while the
/// others are looked for.
pub(crate) fn signal(signal: Signal) {
    let mut pending = children(getpid());
    while let Some(pid) = pending.pop() {
        if signal == Signal::KILL {
            let _ = kill_process(pid, Signal::STOP);
        }
        pending.extend(children(pid));
        let _ = kill_process(pid, signal);
    }
}

/// Children of each thread. A kernel without this list, or a process that has just gone, has none.
fn children(pid: Pid) -> Vec<Pid> {
    let Ok(threads) = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())) else { return Vec::new() };
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok());
    let pids = lists.flat_map(|list| {
        let pids = list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok().and_then(Pid::from_raw));
        pids.collect::<Vec<_>>()
    });
    pids.collect()
}
