//! A broker that is there and answers nobody: a stop doesn't wait for it for ever.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::processes::{assert_none, marked, signal};
use crate::support::{Company, Place, at};

/// Graces, the last words that can't be written, and the server's own end; with room for a busy machine.
const ENOUGH: Duration = Duration::from_secs(25);

#[test]
fn a_stop_ends_all_the_same() {
    let place = Place::new();
    place.write("config/nexus.toml", "shutdown_grace = \"1s\"\n");
    let mut company = Company::up(&place);
    let id = company.gate("open");
    let pid = at(&company.json(&["broker", "status"]), "running.pid").as_u64().unwrap();
    let broker = Stopped { pid: u32::try_from(pid).unwrap(), place: Arc::clone(&place) };
    signal(broker.pid, Signal::STOP);
    let begin = Instant::now();
    signal(company.pid(), Signal::TERM);
    company.wait();
    assert!(begin.elapsed() < ENOUGH, "{:?}: {}", begin.elapsed(), place.read("log"));
    assert_eq!(marked(&format!("NEXUS_TASK_ID={id}")), []);
    assert_none(&place.path(""));
    drop(broker);
    // What could not be written down is found at the next start.
    let company = Company::up(&place);
    company.becomes(&id, "running");
    company.open("open");
    assert_eq!(at(&company.ended(&id), "task.status"), "completed");
    assert_eq!(at(&company.status(&id), "task.attempt"), 1);
}

/// A server that was stopped in its tracks; a failed test doesn't leave it so.
struct Stopped {
    pid: u32,
    place: Arc<Place>,
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // Its number may be another's by now.
        if marked(&self.place.text("")).iter().any(|(pid, _)| *pid == self.pid) {
            signal(self.pid, Signal::KILL);
        }
    }
}
