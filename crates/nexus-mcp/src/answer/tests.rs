//! The shapes of answers, from what the company says.

use nexus_core::id::{AgentName, Priority};
use nexus_core::task::{QueueEntry, Task};
use serde_json::json;

use super::*;

fn view() -> TaskView {
    let task = Task {
        id: TaskId::from_idempotency_key("shape"),
        department: DepartmentName::new("qa").unwrap(),
        description: "ä".repeat(101),
        task_type: "testing".into(),
        project_path: "/srv/project".into(),
        context: None,
        preferred_agent: Some(AgentName::new("shell").unwrap()),
        priority: Priority::DEFAULT,
        timeout_seconds: None,
        max_attempts: Some(2),
        not_before: None,
        include_uncommitted: None,
        created_at: "2026-11-22T18:00:00.25Z".parse().unwrap(),
        traceparent: None,
        parent: None,
    };
    TaskView::new(&QueueEntry::first(task))
}

fn ran(view: &mut TaskView) {
    let events = json!([
        { "type": "started", "node": "n1", "worker": "worker-0", "agent": "shell", "delivery": "d" },
        { "type": "completed", "outcome": { "exit_code": 0, "output": "ok\n", "duration_ms": 7 } },
    ]);
    for (what, at) in events.as_array().unwrap().iter().zip(["2026-11-22T18:00:01Z", "2026-11-22T18:00:02Z"]) {
        let event =
            json!({ "v": 1, "task_id": view.task_id, "department": "qa", "attempt": 1, "at": at, "what": what });
        view.apply(&serde_json::from_value(event).unwrap());
    }
}

#[test]
fn a_task_that_waits_and_one_that_ended() {
    let mut task = view();
    let waiting = TaskAnswer::from(TaskStatus { task: task.clone(), live: None, waits: None });
    ran(&mut task);
    let ended = TaskAnswer::from(TaskStatus { task: task.clone(), live: None, waits: None });
    insta::assert_json_snapshot!([waiting, ended]);
    insta::assert_json_snapshot!(TaskLine::from(task));
}

#[test]
fn a_task_that_was_waited_for_says_its_changes_alone() {
    let answer = || TaskAnswer::from(TaskStatus { task: view(), live: None, waits: None });
    let found = |path: &str| Uncommitted { changes: 1, paths: vec![path.into()], ..Uncommitted::default() };
    let said = answer().with_changes(Some(found("a.txt")));
    let sentence =
        "1 uncommitted change in /srv/project is left out (a.txt); include_uncommitted: true starts from them";
    assert_eq!((said.message.as_deref(), said.uncommitted), (Some(sentence), Some(found("a.txt"))));
    let known = answer().with_changes(Some(found("first"))).with_changes(Some(found("second")));
    assert_eq!(known.uncommitted, Some(found("first")));
    assert_eq!(answer().with_changes(None).message, None);
}

#[test]
fn a_delegation() {
    let accepted = Accepted {
        task_id: view().task_id,
        department: view().department,
        assigned_agent: None,
        task_type: "testing".into(),
        duplicate: false,
        estimated_ms: Some(11_200),
        note: None,
    };
    insta::assert_json_snapshot!(Delegated::new(accepted, "Task delegated successfully"));
}

#[test]
fn durations_are_rough() {
    for (millis, text) in [
        (0, "about 1 s"),
        (300, "about 1 s"),
        (11_200, "about 12 s"),
        (119_000, "about 119 s"),
        (150_000, "about 3 min"),
        (7_200_000, "about 2 h"),
    ] {
        assert_eq!(about(millis), text);
    }
}

#[test]
fn descriptions_are_cut_between_characters() {
    assert_eq!(shortened("a".repeat(100)), "a".repeat(100));
    assert_eq!(shortened("ä".repeat(101)), format!("{}...", "ä".repeat(100)));
}

#[test]
fn a_delegation_says_what_is_left_out() {
    let accepted = Accepted {
        task_id: view().task_id,
        department: view().department,
        assigned_agent: None,
        task_type: "testing".into(),
        duplicate: false,
        estimated_ms: None,
        note: None,
    };
    let changes = |included| {
        let uncommitted = Some(Uncommitted { changes: 1, paths: vec!["a".to_owned()], included, ..Default::default() });
        Some(ProjectChanges { task_id: accepted.task_id, project_path: "/p".to_owned(), uncommitted })
    };
    let said = |changes| Delegated::new(accepted.clone(), "Done").with_changes(changes).message;
    let way = "include_uncommitted: true starts from them";
    assert_eq!(said(changes(false)), format!("Done; 1 uncommitted change in /p is left out (a); {way}"));
    assert_eq!(said(changes(true)), "Done; 1 uncommitted change in /p is included (a)");
    assert_eq!(said(None), "Done");
}
