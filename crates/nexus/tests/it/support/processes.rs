//! Processes, as the system shows them: who belongs to a place, and whether anybody is left.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Far longer than anything here takes on a busy machine: only a fault reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// Waits until `look` finds something.
#[track_caller]
pub(crate) fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, look)
}

/// The same, of what takes long by itself.
#[track_caller]
pub(crate) fn until_within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < patience, "not in time: {what}");
        // sleep: what is waited for here is another program's doing, which notifies nobody.
        #[expect(clippy::disallowed_methods, reason = "a test's own thread")]
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

/// Living processes whose environment or command line has `mark`, by `/proc`; none where there is no `/proc`.
pub(crate) fn marked(mark: &str) -> Vec<(u32, String)> {
    let own = std::process::id();
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|pid| *pid != own);
    let read = |pid: u32, what: &str| std::fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
    let words = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).replace('\0', " ");
    // A zombie has neither.
    pids.filter_map(|pid| {
        let command = words(read(pid, "cmdline"));
        (command.contains(mark) || words(read(pid, "environ")).contains(mark)).then_some((pid, command))
    })
    .collect()
}

/// Fails when a process is left that belongs to a directory.
#[track_caller]
pub(crate) fn assert_none(root: &Path) {
    let left = marked(root.to_str().unwrap());
    assert!(left.is_empty(), "left behind: {left:?}");
}
