//! Processes as the kernel shows them: when one began, which belong to a run, and signals to them.

use std::fs::File;
use std::path::Path;

use nexus_core::id::TaskId;
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};

/// When a process began, in ticks; none when there is no such process, or it is a zombie.
pub(crate) fn began(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command, in parentheses, may hold anything; the fields after it are numbered from 3.
    let fields: Vec<_> = text.rsplit_once(')')?.1.split_whitespace().collect();
    if matches!(fields.first(), Some(&("Z" | "X"))) {
        return None;
    }
    fields.get(19)?.parse().ok()
}

/// Sends a signal; false when there is no such process.
pub(crate) fn signal(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// Live processes that belong to a run: its directory is in their environment, their command line, their program's path
/// or their working directory.
pub(crate) fn of(root: &Path) -> Vec<(u32, String)> {
    let own = std::process::id();
    all().filter(|pid| *pid != own && belongs(*pid, root)).map(|pid| (pid, command_line(pid))).collect()
}

fn belongs(pid: u32, root: &Path) -> bool {
    let mark = root.as_os_str().as_encoded_bytes();
    let has_mark = |bytes: &[u8]| bytes.windows(mark.len()).any(|window| window == mark);
    let read = |what: &str| std::fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
    let link = |what: &str| std::fs::read_link(format!("/proc/{pid}/{what}")).is_ok_and(|path| path.starts_with(root));
    link("exe") || link("cwd") || has_mark(&read("cmdline")) || has_mark(&read("environ"))
}

fn command_line(pid: u32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim().to_owned()
}

/// Who still works on a task: the holder of its lock, or a process that was started for it and has not got that far.
pub(crate) fn working_on(task: TaskId, lock: &Path) -> Option<String> {
    let held = File::options().append(true).open(lock).is_ok_and(|file| {
        // Given back as the file is closed.
        flock(&file, FlockOperation::NonBlockingLockExclusive).is_err()
    });
    if held {
        return Some("its lock is held".to_owned());
    }
    let mark = format!("NEXUS_TASK_ID={task}");
    let carries = |pid: u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    all().find(|pid| carries(*pid)).map(|pid| format!("process {pid} is alive: {}", command_line(pid)))
}

fn all() -> impl Iterator<Item = u32> {
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
}
