//! Records of a ledger, made short.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nexus_core::event::{Event, Failure, FailureKind, Hold, Outcome, What};
use nexus_core::id::{AgentName, DepartmentName, NodeId, TaskId, WorkerName};
use nexus_core::run::{RunReport, Tokens};
use nexus_core::task::{Parent, QueueEntry, Task};
use nexus_core::view::{Record, TaskView, fold};
use uuid::Uuid;

pub(crate) fn id(n: u128) -> TaskId {
    TaskId::from_uuid(Uuid::from_u128(n))
}

pub(crate) fn department(name: &str) -> DepartmentName {
    DepartmentName::new(name).unwrap()
}

/// Microseconds since the epoch.
pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap()
}

pub(crate) fn task(id: TaskId, name: &str, created_at: Timestamp) -> Task {
    Task {
        id,
        department: department(name),
        description: format!("do \"{id}\"\n\u{0}\u{1f980}"),
        task_type: "code_generation".to_owned(),
        project_path: "/p".to_owned(),
        context: None,
        preferred_agent: None,
        priority: nexus_core::id::Priority::DEFAULT,
        timeout_seconds: None,
        max_attempts: None,
        not_before: None,
        include_uncommitted: None,
        created_at,
        traceparent: None,
        parent: None,
    }
}

pub(crate) fn entry(n: u128, name: &str, micros: i64) -> Record {
    Record::Entry(QueueEntry::first(task(id(n), name, at(micros))))
}

/// A task that another one has asked for, in the tree of a first one.
pub(crate) fn child(n: u128, parent: u128, root: u128, micros: i64) -> Record {
    let parent = Parent { task_id: id(parent), root: id(root), depth: 1 };
    let task = Task { parent: Some(parent), ..task(id(n), "qa", at(micros)) };
    Record::Entry(QueueEntry::first(task))
}

pub(crate) fn event(n: u128, name: &str, attempt: u32, micros: i64, what: What) -> Record {
    Record::Event(Event::new(id(n), department(name), attempt, at(micros), what))
}

pub(crate) fn started(node: &str) -> What {
    What::Started {
        node: NodeId::new(node).unwrap(),
        worker: WorkerName::new("worker-0").unwrap(),
        agent: AgentName::new("shell").unwrap(),
        delivery: String::new(),
    }
}

pub(crate) fn progressed(tokens: u64, turns: u32) -> What {
    What::Progressed {
        of: Hold { node: NodeId::new("here").unwrap(), delivery: String::new() },
        agent: AgentName::new("shell").unwrap(),
        run: RunReport { tokens: Tokens { input: tokens, ..Tokens::default() }, turns, ..RunReport::default() },
        ran_ms: 0,
    }
}

pub(crate) fn outcome(duration_ms: u64) -> Outcome {
    Outcome { exit_code: Some(0), output: "done\n".to_owned(), duration_ms, ..Outcome::default() }
}

pub(crate) fn completed(duration_ms: u64) -> What {
    What::Completed { outcome: outcome(duration_ms) }
}

pub(crate) fn failure(message: &str) -> Failure {
    Failure { kind: FailureKind::Exit, message: message.to_owned() }
}

/// The records with the sequences 1, 2, 3 ...
pub(crate) fn numbered(records: impl IntoIterator<Item = Record>) -> Vec<(u64, Record)> {
    (1..).zip(records).collect()
}

pub(crate) fn folded<'a>(records: impl IntoIterator<Item = &'a Record>) -> BTreeMap<TaskId, TaskView> {
    let mut views = BTreeMap::new();
    for record in records {
        if let Some(view) = fold(views.remove(&record.task_id()), record) {
            views.insert(record.task_id(), view);
        }
    }
    views
}
