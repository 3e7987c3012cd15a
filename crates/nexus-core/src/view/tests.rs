//! The known state of a task does not depend on what of its ledger has been replaced since.

use super::*;
use crate::event::Event;
use crate::task::Task;

fn entry(created_at: i64) -> QueueEntry {
    let at = |secs| Timestamp::from_second(secs).unwrap();
    QueueEntry::first(Task {
        id: TaskId::from_idempotency_key("one"),
        department: DepartmentName::new("qa").unwrap(),
        description: String::new(),
        task_type: String::new(),
        project_path: String::new(),
        context: None,
        preferred_agent: None,
        priority: Priority::DEFAULT,
        timeout_seconds: None,
        max_attempts: None,
        not_before: Some(at(1000)),
        include_uncommitted: None,
        created_at: at(created_at),
        traceparent: None,
        parent: None,
    })
}

fn folded(records: &[Record]) -> TaskView {
    records.iter().fold(None, fold).unwrap()
}

fn event(at: i64, what: What) -> Record {
    let entry = entry(0);
    Record::Event(Event::new(entry.task.id, entry.task.department, 0, Timestamp::from_second(at).unwrap(), what))
}

#[test]
fn a_schedule_takes_the_place_of_the_one_before() {
    let (first, second) = (entry(1), entry(2));
    let scheduled = [Record::Scheduled(first.clone()), Record::Scheduled(second.clone())];
    assert_eq!(folded(&scheduled), folded(&scheduled[1..]));
    let due = [Record::Scheduled(first), Record::Entry(second)];
    assert_eq!(folded(&due), folded(&due[1..]));
}

#[test]
fn an_entry_revives_nothing_and_takes_nothing_back() {
    let cancelled = || What::Cancelled { reason: String::new(), outcome: None };
    let ended = [Record::Scheduled(entry(1)), event(2, cancelled()), Record::Entry(entry(1))];
    assert_eq!(folded(&ended), folded(&ended[..2]));
    let again = QueueEntry { queued_at: Timestamp::from_second(3).unwrap(), ..entry(1) };
    let retried =
        [Record::Scheduled(entry(1)), event(2, cancelled()), event(3, What::Retried { reason: String::new() })];
    let view = folded(&[&retried[..], &[Record::Entry(again)]].concat());
    assert_eq!(
        (view.status, view.created_at, view.updated_at.as_second()),
        (Status::Queued, entry(1).task.created_at, 3)
    );
}

#[test]
fn a_delayed_task_that_was_put_back_waits_until_it_is_due() {
    let cancelled = What::Cancelled { reason: String::new(), outcome: None };
    let retried = What::Retried { reason: String::new() };
    let put_back = [Record::Scheduled(entry(1)), event(2, cancelled), event(3, retried), Record::Scheduled(entry(3))];
    assert_eq!(folded(&put_back).not_before, entry(1).task.not_before);
    // Its schedule has taken the place of the first one.
    assert_eq!(folded(&put_back[3..]).not_before, entry(1).task.not_before);
    // One that is due already, and one that has ended, wait for nothing.
    let late = QueueEntry { queued_at: Timestamp::from_second(2000).unwrap(), ..entry(1) };
    assert_eq!(folded(&[&put_back[..3], &[Record::Scheduled(late)]].concat()).not_before, None);
    assert_eq!(folded(&[&put_back[..2], &put_back[3..]].concat()).not_before, None);
}
