//! A limit ends the attempt, and is named.

use crate::support::processes::marked;
use crate::support::{Company, Place, WORK, at};

#[track_caller]
fn check(limits: &str, args: &[&str], names: &str) {
    let company = Company::with(&[("work", &format!("{WORK}\n[limits]\n{limits}\n"))]);
    let id = company.delegate(args);
    let answer = company.ended(&id);
    assert_eq!(at(&answer, "task.status"), "failed");
    let error = at(&answer, "task.error").as_str().unwrap();
    assert!(error.contains(names), "{error}");
    assert_eq!(marked(&format!("NEXUS_TASK_ID={id}")), []);
    let log = company.run(&["logs", &id]).done();
    assert!(log.contains(names), "{log}");
}

#[test]
fn wall_time() {
    check("wall_time = \"500ms\"", &["while :; do echo busy; sleep 0.1; done"], "wall_time");
}

#[test]
fn idle_time() {
    check("idle_time = \"500ms\"", &["echo once; sleep 600"], "idle_time");
}

#[test]
fn output() {
    check("output = \"4KiB\"", &["while :; do echo 0123456789; done"], "limits.output");
}

#[test]
fn memory() {
    let hog = "python3 -c 'x = [bytearray(1 << 20) for n in range(4000)]; print(len(x))'; sleep 600";
    check("memory = \"64MiB\"", &[hog], "limits.memory");
}

#[test]
fn processes() {
    check("processes = 30", &["bomb() { bomb & bomb & wait; }; bomb"], "limits.processes");
}

/// 600 processes that sleep: more than a task may have, and no more.
const BOMB: &str = "for n in $(seq 600); do sleep 600 & done; wait";

#[cfg(target_os = "linux")]
#[test]
fn a_fork_bomb_is_stopped_where_nothing_is_configured() {
    let by_looking = rustix::process::geteuid().is_root();
    for has_groups in [true, false].into_iter().take(1 + usize::from(by_looking)) {
        let place = Place::with(&[]);
        // Its departments are the built-in ones.
        std::fs::remove_dir(place.path("config/departments")).unwrap();
        if !has_groups {
            place.has_no_control_groups();
        }
        let company = Company::up(&place);
        let id = company.delegate(&["-d", "product", "-a", "shell", "--max-attempts", "1", BOMB]);
        let answer = company.ended(&id);
        let error = at(&answer, "task.error").as_str().unwrap_or_default();
        assert!(error.contains("more than its 512 processes (limits.processes)"), "{has_groups}: {answer:#}");
        assert_eq!(marked(&format!("NEXUS_TASK_ID={id}")), []);
        let few = BOMB.replace("600", "9").replace("wait", "kill %1; echo fine");
        assert_eq!(company.run(&["run", "-d", "product", "-a", "shell", &few]).done(), "fine\n");
    }
}

#[test]
fn file_size() {
    check("file_size = \"64KiB\"", &["exec dd if=/dev/zero of=file bs=1024 count=1000"], "limits.file_size");
}

#[test]
fn who_works_in_silence_is_not_idle() {
    let company = Company::with(&[("work", &format!("{WORK}\n[limits]\nidle_time = \"3s\"\n"))]);
    // On a busy machine a tree is looked at every two seconds.
    let busy = "python3 -c 'import time; begin = time.time()\nwhile time.time() < begin + 5: pass'; echo done";
    assert_eq!(company.run(&["run", busy]).done(), "done\n");
}

#[test]
fn a_task_s_own_time() {
    check("wall_time = \"1h\"", &["--timeout", "1s", "sleep 600"], "1s");
}

#[test]
fn who_keeps_talking_is_not_idle() {
    let company = Company::with(&[("work", &format!("{WORK}\n[limits]\nidle_time = \"1500ms\"\n"))]);
    let ran = company.run(&["run", "for i in 1 2 3 4 5 6; do sleep 0.4; echo $i; done"]);
    assert_eq!(ran.done(), "1\n2\n3\n4\n5\n6\n");
}
