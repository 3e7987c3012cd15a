//! A data directory that an older version left when it was killed: `fixtures/data-v1.tar.gz`, by `make-old-data.sh`.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use serde_json::Value;

use crate::support::{Company, Place, at};

/// As the older company was configured.
const WORK: &str = r#"
workers = 1
workspace.mode = "scratch"
sandbox.level = "none"
retry = { max_attempts = 2, backoff = { initial = "60s", jitter = 0.0 } }
stop = { interrupt_grace = "300ms", terminate_grace = "300ms" }
"#;

/// An older company's place, and its tasks by name. The lock is the whole machine's: the agents of all copies carry the
/// mark of one node, and a company ends at its start what is left of its node.
fn unpacked() -> (Arc<Place>, BTreeMap<String, String>, File) {
    let lock = File::create(std::env::temp_dir().join("nexus-it-data-v1.lock")).unwrap();
    lock.lock().unwrap();
    let place = Place::with(&[("work", WORK)]);
    place.write("config/nexus.toml", "shutdown_grace = \"500ms\"\nretention = \"36500d\"\n");
    std::fs::remove_dir(place.path("data")).unwrap();
    let archive = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/data-v1.tar.gz");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(File::open(archive).unwrap()));
    archive.unpack(place.path("")).unwrap();
    let tasks = place.read("data/tasks");
    let tasks = tasks.lines().map(|line| line.split_once(' ').unwrap());
    let tasks = tasks.map(|(name, id)| (name.to_owned(), id.to_owned())).collect();
    (place, tasks, lock)
}

#[test]
fn an_older_data_directory_is_gone_on_with() {
    let (place, tasks, _lock) = unpacked();
    let identity = |place: &Place| {
        let broker: Value = serde_json::from_str(&place.read("data/broker/identity.json")).unwrap();
        (place.read("data/node"), broker["name"].clone(), broker["password"].clone())
    };
    let before = identity(&place);
    let company = Company::up(&place);
    assert_eq!(identity(&company), before);
    // A copy, whose tables have changed since: it is folded again. Nothing else is made anew.
    let log = company.read("log");
    assert!(log.contains("making the history's tables") && log.contains("from 1"), "{log}");
    assert!(!log.contains("from the ledger"), "the ledger was read once: {log}");
    let status = |name: &str| company.status(&tasks[name]);

    let done = status("done");
    assert_eq!(at(&done, "task.status"), "completed");
    assert_eq!(at(&done, "task.result.output"), "one\n{\"issue\":42}\n");
    assert_eq!((at(&done, "task.priority"), at(&done, "task.max_attempts")), (&7.into(), &3.into()));
    let log = company.run(&["logs", &tasks["done"], "-o", "ndjson"]).done();
    let mut lines: Vec<_> =
        log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["text"].clone()).collect();
    lines.sort_by_key(ToString::to_string);
    assert_eq!(lines, ["one", "two", "{\"issue\":42}"]);
    let failed = status("failed");
    assert_eq!((at(&failed, "task.status"), at(&failed, "task.result.exit_code")), (&"failed".into(), &4.into()));
    assert_eq!(at(&failed, "task.result.output"), "no\n");
    let cancelled = status("cancelled");
    assert_eq!(
        (at(&cancelled, "task.status"), at(&cancelled, "task.error")),
        (&"cancelled".into(), &"not needed".into())
    );
    // The same key is still the same task.
    let key = ["--idempotency-key", "old-done", "--project", "/tmp", "-t", "testing", "-a", "shell", "--priority", "7"];
    let rest = ["--timeout", "10m", "--max-attempts", "3", "--context", r#"{"issue":42}"#];
    let said = [r#"echo one; echo two >&2; echo "$NEXUS_CONTEXT""#];
    assert_eq!(company.delegate(&[&key[..], &rest, &said].concat()), tasks["done"]);
    assert_eq!(at(&company.json(&["list", "--all"]), "total"), 9);

    // What was interrupted runs again at once, and its log goes on.
    let running = company.becomes(&tasks["running"], "running");
    assert_eq!((at(&running, "task.attempt"), at(&running, "task.interruptions")), (&1.into(), &1.into()));
    company.write("open", "");
    company.becomes(&tasks["running"], "completed");
    let log = company.run(&["logs", &tasks["running"]]).done();
    assert_eq!((log.matches("began").count(), log.matches("ended").count()), (2, 1), "{log}");
    for name in ["first", "second", "soon", "retried"] {
        company.becomes(&tasks[name], "completed");
    }
    let retried = status("retried");
    assert_eq!((at(&retried, "task.attempt"), at(&retried, "task.result.output")), (&2.into(), &"attempt 2\n".into()));
    let later = status("later");
    assert_eq!(at(&later, "task.status"), "queued");
    assert_eq!(at(&later, "task.not_before"), "2099-01-01T00:00:00Z");

    // The history that was gone on with is what the ledger says.
    let before = company.json(&["list", "--all"]);
    company.run(&["history", "rebuild"]).done();
    assert_eq!(company.json(&["list", "--all"]), before);
}
