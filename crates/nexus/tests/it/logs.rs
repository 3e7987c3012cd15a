//! `nexus logs` and `nexus events`: what was printed, and what happens.

use rustix::process::Signal;
use serde_json::Value;

use crate::support::Company;
use crate::support::processes::until;

#[test]
fn every_line_in_order_with_its_stream() {
    let company = Company::new();
    let id = company.delegate(&["seq 1 3000; echo wrong >&2; printf 'no newline'"]);
    company.ended(&id);
    let said = company.run(&["logs", &id]).done();
    let numbers: Vec<_> = said.lines().filter(|line| line.parse::<u32>().is_ok()).collect();
    assert_eq!(numbers.len(), 3000);
    assert!(said.contains("no newline"));
    let lines = company.json(&["logs", &id]);
    let lines = lines.as_array().unwrap();
    assert_eq!(lines.len(), 3002);
    assert!(lines.iter().zip(1_u64..).all(|(line, n)| line["seq"] == n), "line numbers have no gap");
    let wrong: Vec<_> = lines.iter().filter(|line| line["stream"] == "stderr").collect();
    assert_eq!(wrong.len(), 1);
    assert_eq!(wrong[0]["text"], "wrong");
}

#[test]
fn following_shows_a_line_while_the_task_runs() {
    let company = Company::new();
    let gate = company.text("open");
    let id = company.delegate(&[&format!("echo first; until [ -e {gate} ]; do sleep 0.02; done; echo last")]);
    let mut follow = company.follow(&["logs", "-f", &id]);
    assert_eq!(follow.line(), "first");
    company.open("open");
    assert_eq!(follow.line(), "last");
    follow.ends();
}

#[test]
fn a_company_that_stops_while_it_is_followed_is_said() {
    let company = Company::new();
    let id = company.delegate(&["echo first; sleep 600"]);
    let mut follow = company.follow(&["logs", "-f", &id]);
    assert_eq!(follow.line(), "first");
    company.stop_only();
    let said = follow.end().fails(6, &[&format!("error: the company has stopped; task {id} waits in its queue")]);
    assert_eq!(said.lines().count(), 2, "{said}");
}

#[test]
fn past_events_are_there_by_task() {
    let company = Company::new();
    let id = company.delegate(&["true"]);
    company.ended(&id);
    company.ended(&company.delegate(&["true"]));
    let events = company.json(&["events", "--task", &id[..8]]);
    let told: Vec<_> = events.as_array().unwrap().iter().map(|event| event["what"]["type"].as_str().unwrap()).collect();
    assert_eq!(told, ["started", "completed"]);
    assert!(events.as_array().unwrap().iter().all(|event| event["task_id"] == id.as_str()));
    assert_eq!(company.run(&["events", "-o", "ndjson"]).done().lines().count(), 4);
}

#[test]
fn output_that_is_no_text() {
    let company = Company::new();
    let long = "head -c 200000 /dev/zero | tr '\\0' x";
    let ran = company.run(&["run", &format!("{long}; printf '\\377\\376\\n'; echo end")]);
    let output = ran.done();
    assert!(output.ends_with("\u{fffd}\u{fffd}\nend\n"), "{} bytes", output.len());
    assert!(output.len() <= 17 * 1024, "{} bytes", output.len());
}

#[test]
fn events_are_told_as_they_happen() {
    let company = Company::new();
    let id = company.gate("open");
    let mut follow = company.follow(&["events", "-f", "-o", "ndjson"]);
    // Live only, and it doesn't say when it listens: so tasks are delegated until one is heard of.
    let heard = until("an event", || {
        company.delegate(&["true"]);
        follow.line_at_hand()
    });
    let event: Value = serde_json::from_str(&heard).unwrap();
    assert!(event["what"]["type"].is_string(), "{event:#}");
    company.open("open");
    loop {
        let event: Value = serde_json::from_str(&follow.line()).unwrap();
        if event["task_id"] == id.as_str() {
            assert_eq!(event["what"]["type"], "completed");
            break;
        }
    }
    follow.signal(Signal::INT);
    assert_eq!(follow.end().code, Some(130));
}

#[test]
fn an_array_of_no_lines_is_empty() {
    let company = Company::new();
    let id = company.delegate(&["true"]);
    company.ended(&id);
    assert_eq!(company.json(&["logs", &id]), Value::Array(Vec::new()));
    assert_eq!(company.run(&["logs", &id]).done(), "");
}

/// A pipe gets the agent's output without its colours; the text that people look at can't move their cursor.
#[test]
fn control_characters_are_shown_to_people() {
    let company = Company::new();
    let id = company.delegate(&["printf '\\033[2Jline\\n'; printf '\\033[31mwrong\\n'; exit 3 # \u{1b}]0;title\u{7}"]);
    company.ended(&id);
    assert_eq!(company.run(&["logs", &id]).done(), "\u{1b}[2Jline\nwrong\n");
    for args in [&["status", &id][..], &["list", "--all"], &["events"]] {
        let said = company.run(args).done();
        assert!(!said.contains(['\u{1b}', '\u{7}']), "{args:?}: {said:?}");
    }
    assert!(company.run(&["status", &id]).done().contains(r"\u{1b}]0;title\u{7}"));
}
