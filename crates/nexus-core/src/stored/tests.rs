//! Every form that any version has stored is read as what it was, and nothing of it is lost.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::*;
use crate::view::{Record, Status, TaskView, fold};

/// By `<version>/<schema>.<what>`.
fn fixtures() -> BTreeMap<String, Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let list = |dir: &Path| std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let files = list(&root).into_iter().filter(|path| path.is_dir()).flat_map(|dir| list(&dir));
    files
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().with_extension("");
            (name.to_str().unwrap().replace('\\', "/"), std::fs::read(path).unwrap())
        })
        .collect()
}

fn fixture<T: Stored>(name: &str) -> T {
    read(&fixtures()[name]).unwrap()
}

/// The schema that a fixture is of.
fn schema(name: &str) -> &str {
    name.split(['/', '.']).nth(1).unwrap()
}

/// The form that this program would store in its place.
fn again(name: &str, json: &[u8]) -> Value {
    fn again<T: Stored + Serialize>(json: &[u8]) -> Value {
        serde_json::to_value(read::<T>(json).unwrap()).unwrap()
    }
    match schema(name) {
        "queue_entry" => again::<QueueEntry>(json),
        "event" => again::<Event>(json),
        "prompt_record" => again::<PromptRecord>(json),
        "log_chunk" => again::<LogChunk>(json),
        "dead_letter" => again::<DeadLetter>(json),
        "dead_task" => again::<DeadTask>(json),
        "staff_record" => again::<StaffRecord>(json),
        "account_record" => again::<AccountRecord>(json),
        "lease_holder" => again::<Holder>(json),
        "message" => again::<Message>(json),
        other => panic!("{name}: say here how {other} is read"),
    }
}

/// True if all that was said is still said; something may have been added.
fn holds(now: &Value, before: &Value) -> bool {
    match (now, before) {
        (Value::Object(now), Value::Object(before)) => {
            before.iter().all(|(key, before)| now.get(key).is_some_and(|now| holds(now, before)))
        }
        (Value::Array(now), Value::Array(before)) => {
            now.len() == before.len() && now.iter().zip(before).all(|(now, before)| holds(now, before))
        }
        (now, before) => now == before,
    }
}

#[test]
fn nothing_that_was_stored_is_lost() {
    for (name, json) in fixtures() {
        let (now, before) = (again(&name, &json), serde_json::from_slice(&json).unwrap());
        assert!(holds(&now, &before), "{name}: {before:#}\nis now\n{now:#}");
    }
}

#[test]
fn every_stored_form_has_a_fixture() {
    let fixtures = fixtures();
    let version = format!("v{STORED_VERSION}");
    let schemas = crate::schema::all();
    let stored = schemas.iter().filter(|(_, schema)| schema.pointer("/properties/v").is_some());
    for (name, _) in stored {
        let has = fixtures.keys().any(|fixture| fixture.starts_with(&version) && schema(fixture) == *name);
        assert!(has, "fixtures/{version}/{name}.json is missing");
    }
    let (_, event) = schemas.iter().find(|(name, _)| *name == "event").unwrap();
    let variants = event.pointer("/$defs/What/oneOf").unwrap().as_array().unwrap();
    assert!(variants.len() >= 10);
    for variant in variants {
        let what = variant.pointer("/properties/type/const").unwrap().as_str().unwrap();
        let json = &fixtures[&format!("{version}/event.{what}")];
        assert_eq!(read::<Event>(json).unwrap().what.name(), what);
    }
}

#[test]
fn queue_entries_of_version_1() {
    let plain: QueueEntry = fixture("v1/queue_entry.plain");
    assert_eq!((plain.attempt, plain.interruptions, plain.task.priority.get()), (1, 0, 5));
    assert_eq!(plain.queued_at, plain.task.created_at);
    assert_eq!((&plain.task.context, plain.task.not_before, plain.task.max_attempts), (&None, None, None));
    let delayed: QueueEntry = fixture("v1/queue_entry.delayed");
    let task = &delayed.task;
    assert_eq!(task.description, "echo ü\n\"two\"");
    assert_eq!((task.priority.get(), task.timeout_seconds, task.max_attempts), (9, Some(600), Some(3)));
    assert_eq!(task.preferred_agent.as_ref().unwrap().as_str(), "shell");
    assert_eq!(task.context.as_ref().unwrap()["deep"], json!({ "list": [1, null, "x"] }));
    assert_eq!(task.not_before.unwrap().to_string(), "2099-01-01T00:00:00Z");
    assert!(task.traceparent.as_ref().unwrap().starts_with("00-0af7"));
    let again: QueueEntry = fixture("v1/queue_entry.again");
    assert_eq!((again.attempt, again.interruptions), (2, 3));
}

/// The fold of a task on a ledger of version 1.
fn folded(entry: &str, events: &[&str]) -> TaskView {
    let first = fold(None, &Record::Entry(fixture(entry)));
    let events = events.iter().map(|name| Record::Event(fixture(&format!("v1/event.{name}"))));
    events.fold(first, |view, event| fold(view, &event)).unwrap()
}

#[test]
fn events_of_version_1() {
    let plain = |events: &[&str]| folded("v1/queue_entry.plain", events);
    let running = plain(&["started"]);
    assert_eq!((running.status, running.attempt), (Status::Running, 1));
    assert_eq!(running.node.as_ref().unwrap().as_str(), "n1");
    assert_eq!(running.worker_id.as_ref().unwrap().as_str(), "worker-0");
    for cancel in ["cancel_requested", "cancel_requested.of"] {
        assert!(plain(&["started", cancel]).cancelling, "{cancel}");
    }
    let interrupted = plain(&["started", "interrupted"]);
    assert_eq!((interrupted.status, interrupted.interruptions), (Status::Queued, 1));
    let waits = plain(&["started", "attempt_failed"]);
    assert_eq!(
        (waits.status, waits.not_before.unwrap().to_string().as_str()),
        (Status::Queued, "2026-11-22T21:49:29.5Z")
    );
    let done = plain(&["started", "completed"]);
    let result = done.result.unwrap();
    assert_eq!(
        (done.status, result.exit_code, result.log_lines, result.duration_ms),
        (Status::Completed, Some(0), 12, 1500)
    );
    assert_eq!((result.output.as_str(), result.error_output.as_str(), result.truncated), ("no\n", "why\n", false));
    let workspace = result.workspace.unwrap();
    assert_eq!((workspace.mode.as_str(), workspace.kept, workspace.changed_files), ("worktree", true, Some(2)));
    let failed = plain(&["started", "failed"]);
    assert_eq!((failed.status, failed.result.unwrap().signal), (Status::Failed, Some(9)));
    assert_eq!(failed.error.unwrap(), "the agent was ended by signal 9");
    let cancelled = plain(&["cancelled.waiting"]);
    assert_eq!(
        (cancelled.status, cancelled.result, cancelled.error.unwrap().as_str()),
        (Status::Cancelled, None, "not needed")
    );
    assert_eq!(plain(&["started", "cancelled"]).status, Status::Cancelled);
    assert_eq!(plain(&["started", "failed", "retried"]).status, Status::Queued);
}

#[test]
fn runs_of_version_2() {
    let v2 = |events: &[&str]| {
        let first = fold(None, &Record::Entry(fixture("v2/queue_entry.again")));
        let events = events.iter().map(|name| Record::Event(fixture(&format!("v2/event.{name}"))));
        events.fold(first, |view, event| fold(view, &event)).unwrap()
    };
    let running = v2(&["started", "progressed"]);
    let run = running.run.unwrap();
    assert_eq!(
        (run.session.as_deref(), run.tokens.total(), run.doing.as_deref()),
        (Some("0a51"), 110, Some("Bash make"))
    );
    assert_eq!((running.spent.tokens, running.parent.unwrap().depth), (110, 2));
    let waits = v2(&["started", "progressed", "deferred"]);
    assert_eq!((waits.status, waits.interruptions), (Status::Queued, 3));
    assert_eq!(waits.not_before.unwrap().to_string(), "2026-11-25T13:20:00Z");
    assert_eq!(waits.error.as_deref(), Some("codex: rate limit"));
    assert_eq!(v2(&["started", "interrupted"]).run.unwrap().cost_micros, Some(1500));
    let entry: QueueEntry = fixture("v2/queue_entry.again");
    assert_eq!(entry.resume.unwrap().session, "0a51");
    let limited: AccountRecord = fixture("v2/account_record.limited");
    assert!(limited.closed_until("2026-11-25T13:00:00Z".parse().unwrap()).is_some());
}

#[test]
fn logs_letters_and_records_of_version_1() {
    let chunk: LogChunk = fixture("v1/log_chunk");
    let lines: Vec<_> = chunk.into_lines().map(|line| (line.seq, line.stream.as_str(), line.text)).collect();
    let line = |seq, stream, text: &str| (seq, stream, text.to_owned());
    assert_eq!(lines, [line(10, "stdout", "one"), line(11, "stderr", "twö"), line(12, "system", "")]);
    let letter: DeadLetter = fixture("v1/dead_letter");
    assert_eq!(letter.subject, "nexus.inbox.nope");
    assert_eq!(letter.refusal.help.as_deref(), Some("departments: qa"));
    let dead: DeadTask = fixture("v1/dead_task");
    assert_eq!((dead.attempts, dead.history.len(), dead.left_out), (2, 4, 3));
    assert_eq!(dead.history.last().map(|event| event.what.name()), Some("failed"));
    assert_eq!((dead.task.priority.get(), dead.failure.kind.as_str()), (9, "signal"));
    let stopped: StaffRecord = fixture("v1/staff_record.stopped");
    assert_eq!((stopped.failures.len(), stopped.total), (2, 7));
    assert_eq!(stopped.stopped.as_deref(), Some("failed too often: boom again"));
    assert!(fixture::<StaffRecord>("v1/staff_record.lifted").is_clean());
}

#[test]
fn what_is_newer_is_refused_whether_it_could_be_read_or_not() {
    let newer = STORED_VERSION + 1;
    for (name, json) in fixtures() {
        let mut value: Value = serde_json::from_slice(&json).unwrap();
        value["v"] = newer.into();
        let unlike = json!({ "v": newer, "form": { "is": "another" } });
        for value in [value, unlike] {
            let error = match schema(&name) {
                "queue_entry" => read::<QueueEntry>(value.to_string().as_bytes()).unwrap_err(),
                _ => read::<Event>(value.to_string().as_bytes()).unwrap_err(),
            };
            assert!(matches!(error, Unreadable::Newer { found } if found == newer), "{name}: {error}");
        }
    }
    for malformed in ["", "{}", r#"{"v":1}"#, r#"{"v":"x"}"#, "[]"] {
        assert!(matches!(read::<Event>(malformed.as_bytes()), Err(Unreadable::Malformed(_))), "{malformed}");
    }
}
