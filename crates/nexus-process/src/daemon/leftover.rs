//! A daemon that outlived the process that started it: recognised by its pid *and* one of its arguments, so that a
//! stranger that got the same pid is never touched.

use std::ffi::OsStr;
use std::time::Duration;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

/// True if the process `pid` is alive and was started with the argument `arg`.
#[must_use]
pub fn is_alive(pid: u32, arg: &OsStr) -> bool {
    let pid = Pid::from_u32(pid);
    // A system that can't be asked (no /proc) names no process, and then none is touched.
    let Ok(mut system) = System::new() else { return false };
    let what = ProcessRefreshKind::nothing().with_cmd(UpdateKind::Always).without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, what);
    system.process(pid).is_some_and(|process| process.cmd().iter().any(|given| given == arg))
}

/// Ends the process `pid` if it was started with the argument `arg`: TERM, then KILL when `grace` is over. Returns when
/// it is gone, with whether there was anything to end.
pub async fn end(pid: u32, arg: &OsStr, grace: Duration) -> bool {
    if !is_alive(pid, arg) {
        return false;
    }
    let arg = arg.to_owned();
    // Waiting for a process that is not a child blocks a thread.
    tokio::task::spawn_blocking(move || sys::end(pid, &arg, grace)).await.is_ok()
}

#[cfg(target_os = "linux")]
mod sys {
    use super::{Duration, OsStr, is_alive};
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    /// A pidfd names one process for good, and becomes readable when it ends.
    pub(super) fn end(pid: u32, arg: &OsStr, grace: Duration) {
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let Some(Ok(process)) = raw.map(|pid| pidfd_open(pid, PidfdFlags::empty())) else { return };
        if !is_alive(pid, arg) {
            return;
        }
        for (signal, limit) in [(Signal::TERM, Timespec::try_from(grace).ok()), (Signal::KILL, None)] {
            // It may have ended by itself in between, which is what is wanted.
            let _ = pidfd_send_signal(&process, signal);
            if poll(&mut [PollFd::new(&process, PollFlags::IN)], limit.as_ref()).is_ok_and(|ready| ready > 0) {
                return;
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod sys {
    use super::{Duration, OsStr, is_alive};
    use std::time::Instant;
    use sysinfo::{Pid, ProcessesToUpdate, Signal, System};

    /// There is no handle to wait on for a process that isn't a child, so its end is looked for.
    const LOOK_EVERY: Duration = Duration::from_millis(20);

    pub(super) fn end(pid: u32, arg: &OsStr, grace: Duration) {
        let Ok(mut system) = System::new() else { return };
        let id = Pid::from_u32(pid);
        system.refresh_processes(ProcessesToUpdate::Some(&[id]), true);
        let Some(process) = system.process(id) else { return };
        // `None`: this system (Windows) has no TERM.
        if process.kill_with(Signal::Term).is_none() {
            process.kill();
        }
        let deadline = Instant::now() + grace;
        while is_alive(pid, arg) && Instant::now() < deadline {
            std::thread::sleep(LOOK_EVERY);
        }
        if is_alive(pid, arg) {
            process.kill();
        }
    }
}
