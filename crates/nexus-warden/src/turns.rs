//! How a process takes its turns on a processor.

use std::io;

/// Has the calling thread, and what it starts from now on, wait for its turn when it is woken, where others push aside what
/// runs (`SCHED_BATCH`; see sched(7)). True: done; false: its turns were no longer the ordinary ones, and are left as they are.
///
/// # Errors
/// The system's, which may forbid it.
pub fn wait_for_them() -> io::Result<bool> {
    #[expect(unsafe_code, reason = "scheduling policies have no safe interface")]
    // SAFETY: it takes and returns numbers.
    let policy = unsafe { libc::sched_getscheduler(0) };
    if policy != libc::SCHED_OTHER {
        return Ok(false);
    }
    set(libc::SCHED_BATCH).map(|()| true)
}

/// The contrary, for an agent's processes, whose turns are what the user's own would be.
///
/// # Errors
/// The system's.
pub fn take_ordinary_ones() -> io::Result<()> {
    set(libc::SCHED_OTHER)
}

fn set(policy: i32) -> io::Result<()> {
    #[expect(unsafe_code, reason = "scheduling policies have no safe interface")]
    // SAFETY: the structure is plain numbers, for which zero is a value (and the only one that these policies know), and
    // outlives the call.
    let result = unsafe {
        let parameters: libc::sched_param = std::mem::zeroed();
        libc::sched_setscheduler(0, policy, &raw const parameters)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
