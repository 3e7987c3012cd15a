//! Everything of a company is there when it is started again.

use crate::support::processes::{marked, until};
use crate::support::{Company, Place, WORK, at};

fn one_worker() -> std::sync::Arc<Place> {
    Place::with(&[("work", &WORK.replace("workers = 2", "workers = 1"))])
}

#[test]
fn finished_tasks_stay_readable() {
    let company = Company::new();
    let done = company.delegate(&["echo one; echo two"]);
    let failed = company.delegate(&["exit 4"]);
    let before = [company.ended(&done), company.ended(&failed)];
    let company = Company::up(&company.stop());
    assert_eq!([company.status(&done), company.status(&failed)], before);
    assert_eq!(company.run(&["logs", &done]).done(), "one\ntwo\n");
    assert_eq!(at(&company.json(&["list", "--all"]), "total"), 2);
}

#[test]
fn waiting_tasks_run_afterwards() {
    let company = Company::up(&one_worker());
    company.gate("open");
    let waiting: Vec<_> =
        (0..3).map(|n| company.delegate(&[&format!("echo {n} >> {}", company.text("ran"))])).collect();
    let place = company.stop();
    assert_eq!(place.read("ran"), "");
    place.write("open", "");
    let company = Company::up(&place);
    waiting.iter().for_each(|id| drop(company.becomes(id, "completed")));
    let mut ran: Vec<_> = company.read("ran").lines().map(str::to_owned).collect();
    ran.sort();
    assert_eq!(ran, ["0", "1", "2"]);
}

#[test]
fn what_runs_at_a_stop_runs_again_and_loses_no_attempt() {
    let company = Company::up(&one_worker());
    let id = company.gate("open");
    let place = company.stop();
    assert_eq!(marked(&format!("NEXUS_TASK_ID={id}")), []);
    // Without its department it can't be taken yet: so what the stop has written shows.
    let work = place.read("config/departments/work.toml");
    std::fs::rename(place.path("config/departments/work.toml"), place.path("config/departments/other.toml")).unwrap();
    let company = Company::up(&place);
    let answer = company.status(&id);
    assert_eq!(at(&answer, "task.status"), "queued");
    assert_eq!(at(&answer, "task.interruptions"), 1);
    assert!(company.run(&["status", &id]).done().contains("no attempt was used up"));
    company.department("work", &work);
    let answer = company.becomes(&id, "running");
    assert_eq!(at(&answer, "task.attempt"), 1);
    company.open("open");
    let answer = company.ended(&id);
    assert_eq!(at(&answer, "task.status"), "completed");
    assert_eq!(at(&answer, "task.attempt"), 1);
}

#[test]
fn a_crash_loses_nothing_and_nothing_runs_twice_at_once() {
    let company = Company::up(&one_worker());
    let id = company.gate("open");
    let done = company.delegate(&["--priority", "9", "true"]);
    let mark = format!("NEXUS_TASK_ID={id}");
    let leaders = || marked(&mark).into_iter().filter(|(_, command)| command.contains("until")).count();
    until("the first run", || (leaders() == 1).then_some(()));
    let place = company.kill();
    let company = Company::up(&place);
    // At once, not when a lease has lapsed; and the agent that outlived the crash is gone by then.
    let answer = until("the second run", || {
        assert!(leaders() <= 1, "{:?}", marked(&mark));
        Some(company.status(&id)).filter(|answer| at(answer, "task.status") == "running" && leaders() == 1)
    });
    assert_eq!(at(&answer, "task.interruptions"), 1);
    assert_eq!(at(&answer, "task.attempt"), 1);
    company.open("open");
    assert_eq!(at(&company.ended(&id), "task.status"), "completed");
    assert_eq!(at(&company.ended(&done), "task.status"), "completed");
}
