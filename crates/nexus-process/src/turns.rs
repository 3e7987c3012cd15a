//! How a company takes its turns on the processors that it shares with its agents.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

static WAITS: AtomicBool = AtomicBool::new(false);

/// Has this process, and what it starts but agents, wait for its turn when it is woken. A company is woken several times for each
/// thing that an agent does, and would push an agent aside each time; waiting, it finds more to do at once. To be called
/// while there is one thread. Where a system has nothing like it, nothing is changed.
///
/// # Errors
/// The system's, which may forbid it: then everything works as ever, and costs more.
pub fn wait_for_turns() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if nexus_warden::turns::wait_for_them()? {
        WAITS.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Threads for a program of the company's: one for every other processor. The others of it and the agents, which do the work,
/// need some too, and what one thread hands on to another costs more than what it does itself.
#[must_use]
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2))
}

/// Whether that was done, and a warden has to undo it for what it starts.
pub(crate) fn waits_for_them() -> bool {
    WAITS.load(Ordering::Relaxed)
}
