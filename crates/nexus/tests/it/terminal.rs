//! What people see on a terminal: it fits, it has colours and short ids, and it shows what goes on.

use crate::support::terminal::plain;
use crate::support::{Company, Place, WORK, at};

/// Names and texts that are longer than a terminal is wide.
const WORDY: &str = r#"
description = "Whatever a department could be asked for, described at such a length that no terminal has room for it."
task_types = ["code_generation", "refactoring", "bug_fix", "documentation", "planning", "research"]
agents = ["claude", "codex", "gemini", "copilot", "qwen", "opencode", "shell"]
"#;

#[test]
fn nothing_is_wider_than_the_terminal() {
    let company = Company::with(&[("engineering-and-design", &format!("{WORDY}{WORK}"))]);
    let long = "and more of it, ".repeat(10);
    let failed = company.delegate(&["-a", "shell", &format!("echo why it failed >&2; exit 3 # {long}")]);
    company.ended(&failed);
    company.run(&["message", "engineering-and-design", &long]).done();
    let running = company.delegate(&["-a", "shell", &format!("echo {long}; sleep 600 # {long}")]);
    company.becomes(&running, "running");
    for args in [
        &["list", "--all"][..],
        &["workers"],
        &["departments"],
        &["agents"],
        &["events"],
        &["messages", "engineering-and-design"],
        &["status"],
        &["status", &running],
        &["status", &failed],
        &["status", &failed, "--full"],
        &["status", &failed, "--tree"],
    ] {
        let (said, width) = plain(&company.shown_on(80, args));
        assert!(width <= 80, "{args:?} is {width} wide\n{said}");
        assert!(!said.trim().is_empty(), "{args:?}");
    }
    let (said, width) = plain(&company.shown_on(80, &["list", "--all", "--wide"]));
    assert!(width > 160 && said.contains(long.trim()), "{said}");
    company.run(&["cancel", &running]).done();
}

#[test]
fn ids_are_short_on_a_terminal_and_whole_elsewhere() {
    let company = Company::new();
    let id = company.delegate(&["exit 3"]);
    company.ended(&id);
    let (said, _) = plain(&company.shown_on(80, &["list", "--all"]));
    let shown = said.lines().nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert!(shown.len() == 6 && id.starts_with(&shown), "{said}");
    let (said, _) = plain(&company.shown_on(80, &["status", &shown]));
    assert!(said.contains(&format!("nexus retry {shown}\n")) && said.contains(&id), "{said}");
    let said = company.run(&["status", &shown]).done();
    assert!(said.contains(&format!("nexus retry {id}\n")), "{said}");
    assert_eq!(at(&company.status("@"), "task.task_id"), id.as_str());
}

#[test]
fn states_have_colours_unless_nobody_wants_them() {
    let company = Company::new();
    let id = company.delegate(&["exit 3"]);
    company.ended(&id);
    let said = company.shown_on(80, &["list", "--all"]);
    assert!(said.contains("\u{1b}[31mfailed\u{1b}[0m") && said.contains("\u{1b}[1mTASK"), "{said:?}");
    assert!(!company.run(&["list", "--all"]).done().contains('\u{1b}'));
    let plain = company.on_terminal_with(80, &["list", "--all"], &[("NO_COLOR", "1")]).end().stdout;
    assert!(plain.contains("failed") && !plain.contains('\u{1b}'), "{plain:?}");
    let logs = company.delegate(&["printf '\\033[31mred\\n'"]);
    company.ended(&logs);
    assert_eq!(company.on_terminal_with(80, &["logs", &logs], &[("NO_COLOR", "1")]).end().stdout, "red\n");
}

#[test]
fn colours_of_tools_reach_a_terminal_and_nothing_else_does() {
    let company = Company::new();
    let id =
        company.delegate(&["printf '10%%\\r\\033[31m50%%\\033[0m\\r\\n\\033[2Jend\\n'; printf '9%%\\r\\033[32mok\\n'"]);
    company.ended(&id);
    let said = company.shown_on(80, &["logs", &id]);
    assert_eq!(said, "\u{1b}[31m50%\u{1b}[0m\u{1b}[0m\n\\u{1b}[2Jend\n\u{1b}[32mok\u{1b}[0m\n");
    assert_eq!(company.run(&["logs", &id]).done(), "50%\n\u{1b}[2Jend\nok\n");
}

#[test]
fn a_run_shows_who_it_waits_for_and_what_goes_on() {
    let company = Company::with(&[("work", &WORK.replace("workers = 2", "workers = 1"))]);
    let first = company.gate("first");
    let run = company.on_terminal(80, &["run", &format!("until [ -e {} ]; do sleep 0.02; done", company.text("go"))]);
    run.shows("queued: the worker is busy");
    company.open("first");
    company.ended(&first);
    run.shows("running 0:0");
    company.open("go");
    let ran = run.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let end = ran.stdout.rsplit("\u{1b}[2K").next().unwrap();
    let (end, _) = plain(end);
    assert!(end.starts_with("completed ") && end.contains("next     nexus logs "), "{}", ran.stdout);
}

#[test]
fn a_second_ctrl_c_does_not_wait() {
    let company = Company::with(&[("work", &WORK.replace("interrupt_grace = \"300ms\"", "interrupt_grace = \"5s\""))]);
    let run = company.on_terminal(80, &["run", "trap '' INT; echo up; while :; do sleep 0.1; done"]);
    run.shows("up");
    run.interrupt();
    run.shows("cancelling … (Ctrl-C again: don't wait for its end)");
    run.interrupt();
    let ran = run.end();
    assert_eq!(ran.code, Some(130), "{ran:?}");
    assert!(ran.stdout.contains("its processes are being ended"), "{}", ran.stdout);
    // It goes on being cancelled.
    assert_eq!(at(&company.status("@"), "task.cancelling"), true);
}

#[test]
fn a_result_is_shown_once_where_both_outputs_are_one() {
    let place = Place::new();
    let both = std::fs::File::create(place.path("both")).unwrap();
    let mut run = place.nexus(&["run", "echo result"]);
    assert!(run.stdout(both.try_clone().unwrap()).stderr(both).status().unwrap().success());
    assert_eq!(place.read("both").matches("result\n").count(), 1, "{}", place.read("both"));
}

#[test]
fn a_quiet_run_shows_the_result_alone() {
    let place = Place::new();
    let ran = place.run(&["run", "-q", "echo result; echo story >&2"]);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("result\n", ""));
    let ran = place.run(&["run", "-q", "echo result; exit 5"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(8), "result\n"));
    assert!(ran.stderr.starts_with("failed ") && ran.stderr.contains("exit 5"), "{}", ran.stderr);
}

#[test]
fn a_watched_list_changes_with_its_tasks() {
    let company = Company::new();
    let watch = company.on_terminal(80, &["list", "--watch"]);
    watch.shows("0 of 0");
    let id = company.gate("open");
    watch.shows(&id[..6]);
    watch.interrupt();
    assert_eq!(watch.end().code, Some(130));
    let watch = company.on_terminal(80, &["workers", "--watch"]);
    watch.shows(&id[..6]);
    watch.interrupt();
    assert_eq!(watch.end().code, Some(130));
    company.open("open");
}

#[test]
fn a_company_that_stops_says_how_it_stops_sooner() {
    let place = Place::new();
    let company = place.on_terminal(80, &["up", "--listen", "0"]);
    company.shows("nexus ready mcp=http://127.0.0.1:");
    company.interrupt();
    company.shows("stopping; agents have 500ms (Ctrl-C again: at once)");
    assert_eq!(company.end().code, Some(0));
}
