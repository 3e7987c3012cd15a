//! The company's turns on the processors that it shares with its agents.

/// Has what the calling thread starts from now on wait for its turn when it is woken, where others push aside what runs
/// (`SCHED_BATCH`; see sched(7)). The company's server is woken several times for each thing that happens, and in the middle of
/// what woke it; waiting, it finds more to do at once. Where a system forbids it, or has nothing like it, nothing is changed.
pub(crate) fn wait_for_turns() {
    #[cfg(target_os = "linux")]
    {
        #[expect(unsafe_code, reason = "scheduling policies have no safe interface")]
        // SAFETY: both take and return numbers, and a structure of plain numbers for which zero is a value (and the only one
        // that this policy knows); it outlives the call.
        unsafe {
            // Whoever has chosen another policy knows why.
            if libc::sched_getscheduler(0) == libc::SCHED_OTHER {
                let parameters: libc::sched_param = std::mem::zeroed();
                libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters);
            }
        }
    }
}
