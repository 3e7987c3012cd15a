//! Many tasks: all of them done, none twice.

use std::sync::Mutex;

use crate::support::processes::until;
use crate::support::{Company, WORK, at};

const TASKS: usize = 200;

#[test]
fn all_once() {
    let company = Company::with(&[("work", &WORK.replace("workers = 2", "workers = 8"))]);
    let command = format!("echo $NEXUS_TASK_ID >> {}", company.text("ran"));
    let next = Mutex::new(0..TASKS);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while next.lock().unwrap().next().is_some() {
                    company.delegate(&[&command]);
                }
            });
        }
    });
    until("all are done", || {
        (at(&company.json(&["list", "--status", "completed", "--limit", "1"]), "total") == TASKS).then_some(())
    });
    let ran = company.read("ran");
    let mut ids: Vec<_> = ran.lines().collect();
    assert_eq!(ids.len(), TASKS);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), TASKS);
    let workers = company.json(&["workers"]);
    assert_eq!(at(&workers, "tasks_processed"), TASKS);
    assert_eq!(at(&workers, "tasks_queued"), 0);
    let completed = at(&workers, "workers").as_array().unwrap().iter().map(|w| w["tasks_completed"].as_u64().unwrap());
    assert_eq!(completed.sum::<u64>(), TASKS as u64);
}
