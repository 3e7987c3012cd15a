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
    /// Why the processes could not be looked at, such as too many open files: then it isn't known whether any is left.
    pub unseen: Option<String>,
}

impl Marked {
    /// Proof that none is left.
    #[must_use]
    pub const fn are_gone(&self) -> bool {
        self.alive.is_empty() && self.unseen.is_none()
    }
}

/// Kills every process that was started with `name=value` in its environment, and waits until none is left or `limit`
/// has passed. This process and those above it are spared: a company may be restarted by one of its own agents.
pub async fn end_marked(name: &str, value: &str, limit: Duration) -> Marked {
    let mark = format!("{name}={value}").into_bytes();
    let deadline = tokio::time::Instant::now() + limit;
    let mut seen = std::collections::BTreeSet::new();
    let mut pause = Duration::from_millis(1);
    loop {
        let (alive, unseen) = match system::carriers(&mark) {
            Ok(alive) => (alive, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        if (alive.is_empty() && unseen.is_none()) || tokio::time::Instant::now() >= deadline {
            let ended = seen.iter().filter(|pid| !alive.contains(pid)).count();
            return Marked { ended, alive, unseen };
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
    use std::io;

    use rustix::process::{Pid, Signal, getpid, kill_process};

    /// Pids of live processes whose environment holds `mark`, without our own and those above.
    /// An error means that it can't be told.
    pub(super) fn carriers(mark: &[u8]) -> io::Result<Vec<u32>> {
        let spared = ancestors();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            if !spared.contains(&pid) && carries(pid, mark)? && !is_zombie(pid) {
                found.push(pid);
            }
        }
        Ok(found)
    }

    pub(super) fn kill(pid: u32) {
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw)
            && let Err(error) = kill_process(pid, Signal::KILL)
        {
            tracing::debug!(%error, "a marked process could not be killed");
        }
    }

    /// The environment as it was at the start; one that belongs to somebody else can't be read, and isn't ours.
    fn carries(pid: u32, mark: &[u8]) -> io::Result<bool> {
        use rustix::io::Errno;
        match fs::read(format!("/proc/{pid}/environ")) {
            Ok(env) => Ok(env.split(|byte| *byte == 0).any(|var| var == mark)),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => Err(error),
                _ => Ok(false),
            },
        }
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
    pub(super) const fn carriers(_: &[u8]) -> std::io::Result<Vec<u32>> {
        Ok(Vec::new())
    }

    pub(super) const fn kill(_: u32) {}
}
