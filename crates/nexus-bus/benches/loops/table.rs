//! Messages of the ledger, made and read. `nexus-costs` counts the same loops.
#![expect(clippy::unwrap_used, reason = "samples that are there; a measurement may panic")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use nexus_bus::measured;
use nexus_core::budget::Budget;
use nexus_core::company::{Company, Delegation};
use nexus_core::department::Department;
use nexus_core::event::Event;
use nexus_core::id::DepartmentName;
use nexus_core::restart::RestartPolicy;
use nexus_core::route::route;
use nexus_core::stored::read;
use nexus_core::task::{QueueEntry, Submission};
use nexus_core::units::Span;
use nexus_core::view::fold;
use serde_json::json;

/// A name, and one round of it.
pub(crate) type Loop = (&'static str, Box<dyn FnMut()>);

const ENTRY: &[u8] = include_bytes!("../../../nexus-core/fixtures/v2/queue_entry.plain.json");
const COMPLETED: &[u8] = include_bytes!("../../../nexus-core/fixtures/v2/event.completed.json");

const QUEUE: &str = "nexus.queue.qa.5.087bff8c-82e6-5977-8d57-0260c01687cb";
const EVENT: &str = "nexus.event.qa.087bff8c-82e6-5977-8d57-0260c01687cb";
const ACK: &str = "$JS.ACK.NEXUS_TASKS.qa-5.1.7.1.1700000000000000000.0";

pub(crate) fn all() -> Vec<Loop> {
    vec![
        ("route_message", routing()),
        ("publish_entry", publishing_an_entry()),
        ("publish_event", publishing_an_event()),
        ("receive_entry", receiving()),
        ("fold_event", folding()),
    ]
}

/// The CEO's part of a request: reads it, routes it, makes a task of it and the message that puts it on the queue.
fn routing() -> Box<dyn FnMut()> {
    let (company, first) = (company(), read::<QueueEntry>(ENTRY).unwrap().task);
    let request = serde_json::to_vec(&Submission::new("make check")).unwrap();
    Box::new(move || {
        let submission: Submission = serde_json::from_slice(black_box(&request)).unwrap();
        let route = route(&company, &submission).unwrap();
        let project = submission.project_path.clone();
        let task = route.task(submission, first.id, project, first.created_at);
        black_box(measured::submission(&QueueEntry::first(task)).unwrap());
    })
}

fn company() -> Company {
    let department = DepartmentName::new("engineering").unwrap();
    let policy: Department = serde_json::from_value(json!({ "task_types": ["code_generation"] })).unwrap();
    Company {
        name: "c".to_owned(),
        default_department: department.clone(),
        departments: BTreeMap::from([(department, Arc::new(policy))]),
        agents: BTreeMap::new(),
        restart: RestartPolicy::default(),
        budget: Budget::default(),
        delegation: Delegation::default(),
        retention: Span::from_secs(1),
        shutdown_grace: Span::from_secs(1),
    }
}

fn publishing_an_entry() -> Box<dyn FnMut()> {
    let entry: QueueEntry = read(ENTRY).unwrap();
    Box::new(move || {
        black_box(measured::submission(black_box(&entry)).unwrap());
    })
}

fn publishing_an_event() -> Box<dyn FnMut()> {
    let event: Event = read(COMPLETED).unwrap();
    Box::new(move || {
        black_box(measured::event(black_box(&event), 7).unwrap());
    })
}

/// As a department takes it.
fn receiving() -> Box<dyn FnMut()> {
    let payload = Bytes::from(serde_json::to_vec(&read::<QueueEntry>(ENTRY).unwrap()).unwrap());
    Box::new(move || {
        black_box(measured::delivered(black_box(QUEUE), black_box(ACK), &payload).unwrap());
    })
}

/// As a history takes it: decoded and folded.
fn folding() -> Box<dyn FnMut()> {
    let entry = measured::record(QUEUE, 1, ENTRY).unwrap();
    let view = fold(None, &entry);
    let payload = serde_json::to_vec(&read::<Event>(COMPLETED).unwrap()).unwrap();
    Box::new(move || {
        let record = measured::record(black_box(EVENT), 2, black_box(&payload)).unwrap();
        black_box(fold(view.clone(), &record));
    })
}
