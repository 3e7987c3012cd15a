//! The number of files that this process may have open: a running agent takes three pipes and a process handle.

/// The limits now: the one in force, and the one it may be raised to. `None`: unlimited, or not known on this system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    pub soft: Option<u64>,
    pub hard: Option<u64>,
}

/// More than any company needs: about 16,000 agents at once. Beyond it, programs that close every possible file at their
/// start (agents inherit the limit) get slow.
pub const ENOUGH: u64 = 65_536;

/// Looks.
#[cfg(unix)]
#[must_use]
pub fn open_files() -> OpenFiles {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    OpenFiles { soft: limit.current, hard: limit.maximum }
}

/// Raises the limit in force to what may be had, [`ENOUGH`] at most: the usual default of 1024 is for programs from the
/// time of `select`.
#[cfg(unix)]
pub fn raise_open_files() -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let OpenFiles { soft, hard } = open_files();
    let wanted = hard.map_or(ENOUGH, |hard| hard.min(ENOUGH));
    if soft.is_some_and(|soft| soft < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: hard })?;
    }
    Ok(())
}

#[cfg(not(unix))]
#[must_use]
pub const fn open_files() -> OpenFiles {
    OpenFiles { soft: None, hard: None }
}

#[cfg(not(unix))]
pub const fn raise_open_files() -> std::io::Result<()> {
    Ok(())
}
