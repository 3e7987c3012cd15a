//! The first process of a container, whose duty it is to reap: whatever loses its parent there becomes its child.
//!
//! A runtime must not wait for just any child: it would take the exits of its own away from whoever waits for them. So the first
//! process runs the program again as its child, hands signals on, reaps, and ends as that child ends.

use std::io::{self, IsTerminal as _};
use std::process::Command;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use tokio::signal::unix::{SignalKind, signal};

/// True if this is the first process of its namespace.
#[must_use]
pub fn is_first() -> bool {
    std::process::id() == 1
}

/// Runs this program again with the same arguments, and is its init until it ends; returns its exit code, or 128 and the signal
/// that has ended it.
///
/// # Errors
/// When it can't be started.
pub fn run_as_child() -> io::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        // Listened to before there is anything to hear.
        let mut ended = signal(SignalKind::child())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        // A terminal sends its interrupts to the child too: it would take a second one as an order to hurry.
        let has_terminal = io::stdin().is_terminal();
        let child = Command::new(std::env::current_exe()?).args(std::env::args_os().skip(1)).spawn()?;
        let child = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        loop {
            // It can't be gone without having been reaped here, so the number is its own.
            let handed_on = tokio::select! {
                _ = ended.recv() => None,
                _ = interrupt.recv() => (!has_terminal).then_some(Signal::INT),
                _ = terminate.recv() => Some(Signal::TERM),
            };
            if let Some(signal) = handed_on {
                let _ = kill_process(child, signal);
            }
            if let Some(code) = reap(child) {
                return Ok(code);
            }
        }
    })
}

/// Takes note of all that have ended; the exit code of `child`, if it is among them.
fn reap(child: Pid) -> Option<u8> {
    let mut code = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == child {
            let number = status.exit_status().or_else(|| Some(128 + status.terminating_signal()?));
            code = number.and_then(|number| u8::try_from(number).ok()).or(Some(1));
        }
    }
    code
}
