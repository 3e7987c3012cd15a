//! A limit ends the attempt, and is named.

use crate::support::processes::marked;
use crate::support::{Company, WORK, at};

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

#[test]
fn file_size() {
    check("file_size = \"64KiB\"", &["exec dd if=/dev/zero of=file bs=1024 count=1000"], "limits.file_size");
}

#[test]
fn who_works_in_silence_is_not_idle() {
    let company = Company::with(&[("work", &format!("{WORK}\n[limits]\nidle_time = \"1s\"\n"))]);
    let busy = "python3 -c 'import time; begin = time.time()\nwhile time.time() < begin + 3: pass'; echo done";
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
