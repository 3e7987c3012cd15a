//! A full disk under a company: new work is refused with a reason, running work goes on or waits, and all goes on by itself
//! when there is room. And disks on which no company can begin.
#![expect(clippy::disallowed_types, reason = "mounts, as an administrator does")]

use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use crate::support::processes::until;
use crate::support::small_disk::{fill, with};
use crate::support::{Company, Place, WORK, at};

const UP: [&str; 3] = ["up", "--listen", "127.0.0.1:0"];

#[test]
fn running_work_is_not_lost() {
    with("full_disk::running_work_is_not_lost", 48, |disk| {
        // An agent whose lines nobody takes, because there is no room for them, is not idle.
        let talking = format!("{WORK}\nlimits.idle_time = \"2s\"\n");
        let company = Company::with(&[("work", WORK), ("talk", &talking)]);
        // One that prints all the time and one that prints nothing.
        let go_on = company.text("go-on");
        let talks = company.delegate(&[
            "-d",
            "talk",
            &format!("n=0; until [ -e {go_on} ]; do n=$((n+1)); echo $n; sleep 0.002; done; echo end $n"),
        ]);
        let quiet = company.delegate(&["-d", "work", &format!("until [ -e {go_on} ]; do sleep 0.05; done; echo done")]);
        for task in [&talks, &quiet] {
            company.becomes(task, "running");
        }
        let filler = fill(&disk, 0);
        let refused = until("a refusal", || {
            let asked = Instant::now();
            let ran = company.run(&["-o", "json", "delegate", "-d", "work", "true"]);
            assert!(asked.elapsed().as_secs() < 20, "{:?}", asked.elapsed());
            (ran.code != Some(0)).then_some(ran)
        });
        assert_eq!(refused.code, Some(4), "{refused:#?}");
        assert!(refused.stderr.contains("full"), "{refused:#?}");
        // Now it is known, and said at once.
        let asked = Instant::now();
        company
            .run(&["delegate", "-d", "work", "true"])
            .fails(4, &["is full", &company.text("data/broker/store"), "make room"]);
        assert!(asked.elapsed().as_secs() < 3, "{:?}", asked.elapsed());
        company.run(&["doctor"]).fails(9, &[]);
        // Questions are answered, or refused; they don't hang.
        let asked = Instant::now();
        // What is asked of one task is answered from the ledger, when the history can't follow.
        assert_eq!(at(&company.status(&quiet), "task.status"), "running");
        let ran = company.run(&["list"]);
        assert!([Some(0), Some(4)].contains(&ran.code), "{ran:#?}");
        assert!(asked.elapsed().as_secs() < 30, "{:?}", asked.elapsed());
        std::fs::remove_file(filler).unwrap();
        company.write("go-on", "");
        let again = until("work to be taken again", || {
            let ran = company.run(&["delegate", "-d", "work", "echo again"]);
            (ran.code == Some(0)).then(|| ran.stdout.trim().to_owned())
        });
        for task in [&talks, &quiet, &again] {
            let answer = company.ended(task);
            assert_eq!(at(&answer, "task.status"), "completed", "{answer:#}");
            assert_eq!(at(&answer, "task.attempt"), 1, "{answer:#}");
        }
        whole(&company, &talks);
    });
}

/// Every line of its log is there, once, and in order.
#[track_caller]
fn whole(company: &Company, task: &str) {
    let log = company.run(&["-o", "ndjson", "logs", task]).done();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let text = |line: &Value| line["text"].as_str().unwrap().to_owned();
    let printed: Vec<_> = lines.iter().filter(|line| line["stream"] == "stdout").map(text).collect();
    let (last, counted) = printed.split_last().unwrap();
    let count: usize = last.strip_prefix("end ").unwrap().parse().unwrap();
    let missing: Vec<_> = (1..=count).filter(|n| !counted.contains(&n.to_string())).collect();
    assert_eq!((missing, counted.len()), (Vec::new(), count));
}

#[test]
fn no_company_begins_without_room() {
    with("full_disk::no_company_begins_without_room", 8, |disk| {
        let place = Place::new();
        let data = place.text("data");
        let filler = fill(&disk, 0);
        place.run(&UP).fails(1, &[&data, "is full", "make room"]);
        assert_eq!(std::fs::read_dir(&data).unwrap().count(), 0);
        std::fs::remove_file(filler).unwrap();
        assert!(Command::new("mount").args(["-o", "remount,ro"]).arg(&disk).status().unwrap().success());
        place.run(&UP).fails(1, &[&data, "only be read"]);
        place.run(&["doctor"]).fails(9, &[]);
        assert!(Command::new("mount").args(["-o", "remount,rw"]).arg(&disk).status().unwrap().success());
    });
}

#[test]
fn a_company_that_is_killed_on_a_full_disk_goes_on_after_it() {
    with("full_disk::a_company_that_is_killed_on_a_full_disk_goes_on_after_it", 48, |disk| {
        let company = Company::new();
        let gate = company.gate("open");
        let waits: Vec<_> = (0..5).map(|_| company.delegate(&["echo waited"])).collect();
        let filler = fill(&disk, 0);
        let place = company.kill();
        until("a refusal to begin", || {
            let ran = place.run(&UP);
            (ran.code == Some(1)).then_some(())
        });
        std::fs::remove_file(filler).unwrap();
        place.write("open", "");
        let company = Company::up(&place);
        for task in waits.iter().chain([&gate]) {
            assert_eq!(at(&company.ended(task), "task.status"), "completed");
        }
    });
}

#[test]
fn what_an_attempt_filled_the_disk_with_goes_when_it_ends() {
    with("full_disk::what_an_attempt_filled_the_disk_with_goes_when_it_ends", 96, |_| {
        let confined = "workers = 1\nagents = [\"shell\"]\nworkspace.mode = \"scratch\"\nretry.max_attempts = 1\n";
        let company = Company::with(&[("work", confined)]);
        if company.run(&["doctor"]).stdout.contains("agents can't be confined") {
            return eprintln!("skipped: this machine can't confine, so attempts share the system's /tmp");
        }
        let greedy = company.delegate(&["cat /dev/zero > $TMPDIR/big; exit 3"]);
        // The broker may be started again meanwhile, and answers nothing then.
        let answer = until("its end", || {
            let ran = company.run(&["-o", "json", "status", &greedy]);
            let answer: Value = serde_json::from_str(&ran.stdout).ok()?;
            (ran.code == Some(0) && at(&answer, "task.status") == "failed").then_some(answer)
        });
        assert_eq!(at(&answer, "task.result.exit_code"), 3, "{answer:#}");
        // Its log tells where its files went, and work goes on.
        let log = company.run(&["logs", &greedy]).done();
        assert!(log.contains("the disk was full: removed what the attempt had left in"), "{log}");
        let next = until("work to be taken again", || {
            let ran = company.run(&["delegate", "echo next"]);
            (ran.code == Some(0)).then(|| ran.stdout.trim().to_owned())
        });
        assert_eq!(at(&company.ended(&next), "task.status"), "completed");
    });
}

/// It doesn't end by itself, and its workspace would be kept.
#[test]
fn an_attempt_that_fills_the_disk_and_goes_on_is_ended_and_its_files_go() {
    with("full_disk::an_attempt_that_fills_the_disk_and_goes_on_is_ended_and_its_files_go", 96, |_| {
        let company = Company::with(&[("work", &format!("{WORK}\nretry.max_attempts = 1\n"))]);
        let greedy = company.delegate(&["cat /dev/zero > big; sleep 600"]);
        let answer = until("its end", || {
            let ran = company.run(&["-o", "json", "status", &greedy]);
            let answer: Value = serde_json::from_str(&ran.stdout).ok()?;
            (ran.code == Some(0) && at(&answer, "task.status") == "failed").then_some(answer)
        });
        let error = at(&answer, "task.error").as_str().unwrap().to_owned();
        assert!(error.contains("filled the disk: most of it was in ") && error.contains(&greedy), "{error}");
        let log = company.run(&["logs", &greedy]).done();
        assert!(log.contains("the disk was full: removed ") && log.contains("/big ("), "{log}");
        let next = until("work to be taken again", || {
            let ran = company.run(&["delegate", "echo next"]);
            (ran.code == Some(0)).then(|| ran.stdout.trim().to_owned())
        });
        assert_eq!(at(&company.ended(&next), "task.status"), "completed");
    });
}

#[test]
fn a_company_starts_on_a_disk_that_an_ended_attempt_has_filled() {
    with("full_disk::a_company_starts_on_a_disk_that_an_ended_attempt_has_filled", 96, |disk| {
        let company = Company::with(&[("work", WORK)]);
        let id = company.delegate(&["echo before"]);
        company.ended(&id);
        let place = company.stop();
        // As a company that was killed leaves it.
        let left = place.path("data").join("private").join(&id).join("tmp");
        std::fs::create_dir_all(&left).unwrap();
        let filler = fill(&disk, 0);
        std::fs::rename(&filler, left.join("big")).unwrap();
        place.run(&["doctor"]).fails_on_stdout(9, &["disk", &format!("private/{id}/tmp")]);
        let company = Company::up(&place);
        assert!(!left.exists());
        assert_eq!(at(&company.status(&id), "task.status"), "completed");
    });
}
