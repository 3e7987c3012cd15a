//! Processes that outlived their owner, known by a mark in their environment; never by name.
//!
//! Linux shows every process's environment to its own user. Other systems don't: there nothing is found, and what a
//! killed company leaves behind has to be ended by hand.

use std::time::Duration;

/// What became of the marked processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marked {
    /// How many were ended.
    pub ended: usize,
    /// Those that are alive all the same.
    pub alive: Vec<u32>,
}

/// Kills every process that was started with `name=value` in its environment, and waits until none is left or `limit`
/// has passed. This process and those above it are spared: a company may be restarted by one of its own agents.
pub async fn end_marked(name: &str, value: &str, limit: Duration) -> Marked {
    let mark = format!("{name}={value}").into_bytes();
    let deadline = tokio::time::Instant::now() + limit;
    let mut seen = std::collections::BTreeSet::new();
    let mut pause = Duration::from_millis(1);
    loop {
        let alive = system::carriers(&mark);
        if alive.is_empty() || tokio::time::Instant::now() >= deadline {
            let ended = seen.iter().filter(|pid| !alive.contains(pid)).count();
            return Marked { ended, alive };
        }
        // Again until none is left: one may have forked while it was being killed.
        for pid in &alive {
            seen.insert(*pid);
            system::kill(*pid);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs;

    use rustix::process::{Pid, Signal, getpid, kill_process};

    /// Pids of live processes whose environment holds `mark`, without our own and those above.
    pub(super) fn carriers(mark: &[u8]) -> Vec<u32> {
        let spared = ancestors();
        let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| !spared.contains(pid) && carries(*pid, mark) && !is_zombie(*pid)).collect()
    }

    pub(super) fn kill(pid: u32) {
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw)
            && let Err(error) = kill_process(pid, Signal::KILL)
        {
            tracing::debug!(%error, "a marked process could not be killed");
        }
    }

    /// The environment as it was at the start; one that belongs to somebody else can't be read, and isn't ours.
    fn carries(pid: u32, mark: &[u8]) -> bool {
        fs::read(format!("/proc/{pid}/environ")).is_ok_and(|env| env.split(|byte| *byte == 0).any(|var| var == mark))
    }

    /// The fields of a stat line that follow the command in parentheses: state, parent ...
    fn stat(pid: u32) -> Option<Vec<String>> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, fields) = text.rsplit_once(')')?;
        Some(fields.split_whitespace().map(str::to_owned).collect())
    }

    fn is_zombie(pid: u32) -> bool {
        stat(pid).is_none_or(|fields| matches!(fields.first().map(String::as_str), Some("Z" | "X") | None))
    }

    fn ancestors() -> Vec<u32> {
        let mut pids = vec![u32::try_from(getpid().as_raw_nonzero().get()).unwrap_or_default()];
        while let Some(parent) = pids.last().and_then(|pid| stat(*pid)).and_then(|fields| fields.get(1)?.parse().ok())
            && parent > 0
        {
            pids.push(parent);
        }
        pids
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) const fn carriers(_: &[u8]) -> Vec<u32> {
        Vec::new()
    }

    pub(super) const fn kill(_: u32) {}
}
