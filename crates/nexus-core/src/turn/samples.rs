//! Events and entries for the tests of what is decided by a task's last event.

use jiff::Timestamp;
use proptest::prelude::*;

use crate::event::{Event, Failure, FailureKind, Hold, Outcome, What};
use crate::id::{AgentName, DepartmentName, NodeId, Priority, TaskId, WorkerName};
use crate::run::RunReport;
use crate::task::{QueueEntry, Task};

pub(crate) fn node() -> NodeId {
    NodeId::new("n").unwrap()
}

fn department() -> DepartmentName {
    DepartmentName::new("qa").unwrap()
}

pub(crate) fn entry(attempt: u32) -> QueueEntry {
    let task = Task {
        id: TaskId::from_idempotency_key("x"),
        department: department(),
        description: "x".into(),
        task_type: "t".into(),
        project_path: "/".into(),
        context: None,
        preferred_agent: None,
        priority: Priority::DEFAULT,
        timeout_seconds: None,
        max_attempts: None,
        not_before: None,
        include_uncommitted: None,
        created_at: Timestamp::UNIX_EPOCH,
        traceparent: None,
        parent: None,
    };
    QueueEntry { attempt, ..QueueEntry::first(task) }
}

pub(crate) fn event(attempt: u32, what: What) -> Event {
    Event::new(TaskId::from_idempotency_key("x"), department(), attempt, Timestamp::UNIX_EPOCH, what)
}

pub(crate) fn started(delivery: &str) -> What {
    let worker = WorkerName::new("worker-0").unwrap();
    What::Started { node: node(), worker, agent: AgentName::new("shell").unwrap(), delivery: delivery.into() }
}

pub(crate) fn is_open(event: &Event) -> bool {
    matches!(event.what, What::Started { .. } | What::Progressed { .. } | What::CancelRequested { .. })
}

pub(crate) fn entries() -> impl Strategy<Value = QueueEntry> {
    (1_u32..4, 0_u32..30).prop_map(|(attempt, interruptions)| QueueEntry { interruptions, ..entry(attempt) })
}

pub(crate) fn events() -> impl Strategy<Value = Event> {
    let failure = || Failure { kind: FailureKind::Exit, message: String::new() };
    let delivery = prop_oneof![Just("mine"), Just("another's")];
    let what = prop_oneof![
        delivery.clone().prop_map(started),
        prop::option::of(delivery.clone()).prop_map(|delivery| What::CancelRequested {
            reason: "u".into(),
            of: delivery.map(|delivery| Hold { node: node(), delivery: delivery.into() }),
        }),
        delivery.clone().prop_map(|delivery| What::Progressed {
            of: Hold { node: node(), delivery: delivery.into() },
            agent: AgentName::new("codex").unwrap(),
            run: RunReport { session: Some("s".into()), turns: 2, ..RunReport::default() },
            ran_ms: 1_000,
        }),
        Just(What::Interrupted { reason: String::new(), run: None }),
        Just(What::Deferred { reason: String::new(), until: None, run: None }),
        Just(What::AttemptFailed { failure: failure(), outcome: Outcome::default(), retry_at: Timestamp::UNIX_EPOCH }),
        Just(What::Retried { reason: String::new() }),
        Just(What::Completed { outcome: Outcome::default() }),
        Just(What::Failed { failure: failure(), outcome: Outcome::default() }),
        Just(What::Cancelled { reason: String::new(), outcome: None }),
    ];
    (0_u32..4, what).prop_map(|(attempt, what)| event(attempt, what))
}
