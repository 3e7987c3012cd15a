//! The judgement finds each kind of wrong in a ledger that has it, and none in one that hasn't.

use jiff::Timestamp;
use nexus_core::event::{Failure, Outcome};
use nexus_core::id::{AgentName, DepartmentName, NodeId, Priority, WorkerName};
use nexus_core::task::{QueueEntry, Task};

use super::*;
use crate::mark::Moment;
use crate::work::Plan;

fn id() -> TaskId {
    TaskId::from_idempotency_key("one")
}

fn event(attempt: u32, what: What) -> Record {
    let department = DepartmentName::new("mill").unwrap();
    Record::Event(Event::new(id(), department, attempt, Timestamp::UNIX_EPOCH, what))
}

fn started() -> What {
    What::Started {
        node: NodeId::new("a").unwrap(),
        worker: WorkerName::new("worker-0").unwrap(),
        agent: AgentName::new("chaos").unwrap(),
        delivery: String::new(),
    }
}

fn completed() -> What {
    What::Completed { outcome: Outcome::default() }
}

fn failed(kind: FailureKind, exit_code: Option<i32>) -> What {
    let failure = Failure { kind, message: String::new() };
    What::Failed { failure, outcome: Outcome { exit_code, ..Outcome::default() } }
}

fn entry() -> Record {
    let task = Task {
        id: id(),
        department: DepartmentName::new("mill").unwrap(),
        description: String::new(),
        task_type: "chaos".to_owned(),
        project_path: "/".to_owned(),
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
    Record::Entry(QueueEntry::first(task))
}

fn mark(kind: Kind) -> Mark {
    Mark {
        kind,
        task: id(),
        attempt: 1,
        department: DepartmentName::new("mill").unwrap(),
        node: NodeId::new("a").unwrap(),
        pid: 1,
        began: 1,
        at: Moment(1),
        commit: None,
    }
}

/// One task with these events, finished once by its agent, and of which the company tells the truth.
fn evidence(events: impl IntoIterator<Item = (u32, What)>) -> Evidence {
    let events = events.into_iter().map(|(attempt, what)| event(attempt, what));
    let records: Vec<_> = [entry()].into_iter().chain(events).collect();
    let order = Order {
        plan: Plan::default(),
        department: "mill",
        priority: Priority::DEFAULT,
        max_attempts: None,
        delay: None,
        cancel_after: None,
    };
    Evidence {
        acked: [(id(), order)].into(),
        told: views(&records),
        records,
        marks: vec![mark(Kind::Start), mark(Kind::End(0))],
        ..Evidence::default()
    }
}

#[track_caller]
fn finds(evidence: &Evidence, wrong: &[Wrong]) {
    let (_, found) = judge(evidence);
    assert_eq!(found.iter().map(|violation| violation.kind).collect::<Vec<_>>(), wrong, "{found:#?}");
}

#[test]
fn a_sound_task_is_counted() {
    let sound = evidence([(1, started()), (1, completed())]);
    finds(&sound, &[]);
    assert_eq!(judge(&sound).0, Tasks { acknowledged: 1, completed: 1, ..Tasks::default() });
    let twice = Evidence { marks: vec![mark(Kind::End(0)), mark(Kind::End(0))], ..sound };
    assert_eq!(judge(&twice).0.duplicated, 1);
}

#[test]
fn what_has_not_ended_is_lost() {
    finds(&evidence([(1, started())]), &[Wrong::Lost]);
    let vanished = Evidence { records: Vec::new(), ..evidence([]) };
    finds(&vanished, &[Wrong::Lost]);
}

#[test]
fn events_come_in_order() {
    let interrupted = || What::Interrupted { reason: String::new(), run: None };
    finds(&evidence([(1, started()), (1, interrupted()), (1, started()), (1, completed())]), &[]);
    finds(&evidence([(1, started()), (1, started()), (1, completed())]), &[Wrong::Order]);
    finds(&evidence([(1, completed())]), &[Wrong::Order]);
    finds(&evidence([(1, started()), (1, completed()), (1, interrupted())]), &[Wrong::AfterEnd, Wrong::Lost]);
}

#[test]
fn only_its_agents_failures_use_up_attempts() {
    let by_design = |mut evidence: Evidence| {
        evidence.acked.values_mut().for_each(|order| order.plan.fails = 1);
        evidence
    };
    let exit = |code| evidence([(1, started()), (1, failed(FailureKind::Exit, Some(code)))]);
    finds(&by_design(exit(FAILED)), &[]);
    finds(&exit(FAILED), &[Wrong::Attempts]);
    finds(&by_design(exit(1)), &[Wrong::Attempts]);
    let signalled = evidence([(1, started()), (1, failed(FailureKind::Signal, None))]);
    finds(&signalled, &[Wrong::Attempts]);
    finds(&Evidence { killed: [id()].into(), ..signalled }, &[]);
}

#[test]
fn an_overlap_is_found_by_its_mark() {
    let mut overlapping = evidence([(1, started()), (1, completed())]);
    overlapping.marks.push(mark(Kind::Overlap));
    finds(&overlapping, &[Wrong::Overlap]);
}

#[test]
fn what_was_said_has_to_be_true() {
    let sound = || evidence([(1, started()), (1, completed())]);
    finds(&Evidence { told: HashMap::new(), ..sound() }, &[Wrong::Status]);
    finds(&Evidence { cancelled: [id()].into(), ..sound() }, &[Wrong::Outcome]);
    finds(&Evidence { marks: Vec::new(), ..sound() }, &[Wrong::Outcome]);
    let unasked = What::Cancelled { reason: String::new(), outcome: None };
    finds(&evidence([(0, unasked)]), &[Wrong::Outcome]);
}
