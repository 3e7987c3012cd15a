//! A task that is retried by hand goes on with its log where it ended.

use serde_json::Value;

use crate::support::{Company, at};

#[test]
fn both_runs_lines_are_there_in_one_count() {
    let company = Company::new();
    let fixed = company.text("fixed");
    // The attempt is the first one both times: only the file tells the runs apart.
    let id = company.delegate(&[&format!(
        "echo attempt $NEXUS_ATTEMPT; if [ -e {fixed} ]; then echo mended; else echo broken; exit 1; fi"
    )]);
    assert_eq!(at(&company.ended(&id), "task.status"), "failed");
    let before = texts(&company, &id);
    assert!(before.ends_with(&["attempt 1".to_owned(), "broken".to_owned()]), "{before:?}");
    company.write("fixed", "");
    company.run(&["retry", &id]).done();
    company.becomes(&id, "completed");
    let after = texts(&company, &id);
    assert_eq!(after[..before.len()], before);
    let printed: Vec<_> = after.iter().filter(|line| !line.starts_with("nexus")).collect();
    assert_eq!(printed, ["attempt 1", "broken", "attempt 1", "mended"]);
    // Whoever follows it gets them all as well, and an end.
    let mut follow = company.follow(&["logs", "-f", &id]);
    after.iter().for_each(|line| assert_eq!(follow.line(), *line));
    follow.ends();
}

/// The log's lines, numbered from 1 without a gap.
fn texts(company: &Company, id: &str) -> Vec<String> {
    let said = company.run(&["logs", "-o", "ndjson", id]).done();
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().zip(1_u64..).all(|(line, n)| line["seq"] == n), "{said}");
    lines.iter().map(|line| line["text"].as_str().unwrap().to_owned()).collect()
}
