//! Processes that outlived their owner, known by a mark in their environment; never by name.
//!
//! Linux shows every process's environment to its own user. Other systems don't: there nothing is found, and what a
//! killed company leaves behind has to be ended by hand.

use std::time::Duration;

/// The fate of the marked processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marked {
    /// The number of those that were ended.
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

/// The longest time that it may take to become another program, in which nothing is seen of a process. Who shows nothing for longer
/// is none that was started with a mark.
const BECOMING: Duration = Duration::from_secs(1);

/// Kills every process that was started with `name=value` in its environment, and waits until none is left or `limit`
/// has passed. This process and those above it are spared: a company may be restarted by one of its own agents.
pub async fn end_marked(name: &str, value: &str, limit: Duration) -> Marked {
    let mark = format!("{name}={value}").into_bytes();
    let deadline = tokio::time::Instant::now() + limit;
    let mut seen = std::collections::BTreeSet::new();
    let mut pause = Duration::from_millis(1);
    let certain = tokio::time::Instant::now() + BECOMING;
    loop {
        let now = tokio::time::Instant::now();
        let (alive, unsure, unseen) = match system::carriers(&mark) {
            Ok((alive, becoming)) => (alive, becoming && now < certain, None),
            Err(error) => (Vec::new(), false, Some(error.to_string())),
        };
        if (alive.is_empty() && !unsure && unseen.is_none()) || now >= deadline {
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

    /// Pids of live processes whose environment holds `mark`, without our own and those above; and whether there is one of which
    /// that can't be seen just now. An error means that it can't be told.
    pub(super) fn carriers(mark: &[u8]) -> io::Result<(Vec<u32>, bool)> {
        let spared = ancestors();
        let (mut found, mut becoming) = (Vec::new(), false);
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            if spared.contains(&pid) {
                continue;
            }
            match carries(pid, mark)? {
                Some(true) if !is_zombie(pid) => found.push(pid),
                Some(_) => {}
                None if is_becoming_a_program(pid) => becoming = true,
                // It has become one since.
                None => {
                    if carries(pid, mark)? == Some(true) && !is_zombie(pid) {
                        found.push(pid);
                    }
                }
            }
        }
        Ok((found, becoming))
    }

    pub(super) fn kill(pid: u32) {
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw)
            && let Err(error) = kill_process(pid, Signal::KILL)
        {
            tracing::debug!(%error, "a marked process could not be killed");
        }
    }

    /// The environment as it was at the start; one that belongs to somebody else can't be read, and isn't ours. None: it is empty.
    fn carries(pid: u32, mark: &[u8]) -> io::Result<Option<bool>> {
        use rustix::io::Errno;
        match fs::read(format!("/proc/{pid}/environ")) {
            Ok(env) if env.is_empty() => Ok(None),
            Ok(env) => Ok(Some(env.split(|byte| *byte == 0).any(|var| var == mark))),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => Err(error),
                _ => Ok(Some(false)),
            },
        }
    }

    /// In the middle of an `exec` a process shows neither environment nor arguments, but has memory, unlike the kernel's own and
    /// what has ended.
    fn is_becoming_a_program(pid: u32) -> bool {
        let has_no_arguments = fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|arguments| arguments.is_empty());
        has_no_arguments && stat(pid).is_some_and(|fields| fields.get(VSIZE).is_some_and(|size| size != "0"))
    }

    /// Its place in [`stat`].
    const VSIZE: usize = 20;

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
    pub(super) const fn carriers(_: &[u8]) -> std::io::Result<(Vec<u32>, bool)> {
        Ok((Vec::new(), false))
    }

    pub(super) const fn kill(_: u32) {}
}
