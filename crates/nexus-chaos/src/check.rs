//! The judgement: what was acknowledged, what the ledger says, what the company says, and what the agents' marks prove,
//! held against each other. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use nexus_core::event::{Event, FailureKind, What};
use nexus_core::id::TaskId;
use nexus_core::view::{Record, Status, TaskView, fold};

use crate::mark::{Kind, Mark};
use crate::report::Tasks;
use crate::story::{Violation, Wrong};
use crate::work::{FAILED, Order};

/// All that is known when a run is over.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) acked: BTreeMap<TaskId, Order>,
    pub(crate) records: Vec<Record>,
    /// The company's word on each task.
    pub(crate) told: HashMap<TaskId, TaskView>,
    pub(crate) marks: Vec<Mark>,
    /// Tasks whose agent was killed.
    pub(crate) killed: BTreeSet<TaskId>,
    /// Tasks of which "cancelled" was answered.
    pub(crate) cancelled: BTreeSet<TaskId>,
}

/// Every task as a fold of the ledger.
pub(crate) fn views(records: &[Record]) -> HashMap<TaskId, TaskView> {
    let mut views = HashMap::<TaskId, TaskView>::new();
    for record in records {
        let id = record.task_id();
        if let Some(view) = fold(views.remove(&id), record) {
            views.insert(id, view);
        }
    }
    views
}

/// The rules for a company that has come to rest.
pub(crate) fn judge(evidence: &Evidence) -> (Tasks, Vec<Violation>) {
    let views = views(&evidence.records);
    let mut found = events(evidence);
    let mut tasks = Tasks { acknowledged: evidence.acked.len(), ..Tasks::default() };
    for (id, order) in &evidence.acked {
        let mut wrong = |kind, what: String| found.push(Violation::new(kind, Some(*id), what));
        let Some(view) = views.get(id) else {
            wrong(Wrong::Lost, "it was acknowledged, and the ledger doesn't know it".to_owned());
            continue;
        };
        match evidence.told.get(id) {
            Some(told) if told == view => {}
            Some(told) => wrong(Wrong::Status, differences(told, view)),
            None => wrong(Wrong::Status, "the company doesn't say how it is".to_owned()),
        }
        let effects = evidence.marks.iter().filter(|mark| mark.task == *id && mark.kind == Kind::End(0)).count();
        match view.status {
            Status::Completed => {
                tasks.completed += 1;
                tasks.duplicated += effects.saturating_sub(1);
                if effects == 0 {
                    wrong(Wrong::Outcome, "completed, but no agent has finished it".to_owned());
                }
            }
            Status::Failed => tasks.failed += 1,
            Status::Cancelled => {
                tasks.cancelled += 1;
                if order.cancel_after.is_none() {
                    wrong(Wrong::Outcome, "cancelled, and nobody asked for that".to_owned());
                }
            }
            Status::Queued | Status::Running => wrong(Wrong::Lost, format!("it has not ended: {view:?}")),
        }
        if evidence.cancelled.contains(id) && view.status != Status::Cancelled {
            wrong(Wrong::Outcome, format!("\"cancelled\" was answered, and it is {}", view.status.as_str()));
        }
    }
    found.extend(overlaps(evidence));
    (tasks, found)
}

/// The differences between the company's word and the ledger, field by field.
fn differences(told: &TaskView, view: &TaskView) -> String {
    let [told, view] = [told, view].map(|view| serde_json::to_value(view).unwrap_or_default());
    let fields = view.as_object().into_iter().flatten();
    let differing = fields.filter(|(name, value)| told.get(name.as_str()) != Some(value));
    let differing = differing.map(|(name, value)| {
        let told = told.get(name.as_str()).unwrap_or(&serde_json::Value::Null);
        format!("{name} is {told} for the company and {value} by the ledger")
    });
    differing.collect::<Vec<_>>().join("; ")
}

fn overlaps(evidence: &Evidence) -> impl Iterator<Item = Violation> {
    let overlaps = evidence.marks.iter().filter(|mark| mark.kind == Kind::Overlap);
    overlaps.map(|mark| {
        let all = evidence.marks.iter().filter(|other| other.task == mark.task).collect::<Vec<_>>();
        Violation::new(Wrong::Overlap, Some(mark.task), format!("its lock was not free; its marks: {all:?}"))
    })
}

/// Each event by the one before it.
fn events(evidence: &Evidence) -> Vec<Violation> {
    let (mut found, mut last) = (Vec::new(), HashMap::<TaskId, &Event>::new());
    for record in &evidence.records {
        let Record::Event(event) = record else { continue };
        let before = last.insert(event.task_id, event);
        if let Some(kind) = breach(before, event) {
            found.push(Violation::new(kind, Some(event.task_id), format!("{event:?} follows {before:?}")));
        }
        // Only its agent's own failures use up a task's attempts.
        if let What::AttemptFailed { failure, outcome, .. } | What::Failed { failure, outcome } = &event.what {
            let killed = evidence.killed.contains(&event.task_id);
            let by_design = evidence.acked.get(&event.task_id).is_none_or(|order| order.plan.fails(event.attempt));
            let its_own = match failure.kind {
                FailureKind::Exit => outcome.exit_code == Some(FAILED) && by_design,
                FailureKind::Signal => killed,
                _ => false,
            };
            if !its_own {
                found.push(Violation::new(Wrong::Attempts, Some(event.task_id), format!("{event:?}")));
            }
        }
    }
    found
}

/// The fault of an event that follows another one of its task.
fn breach(last: Option<&Event>, event: &Event) -> Option<Wrong> {
    let is_open = matches!(
        last.map(|last| &last.what),
        Some(What::Started { .. } | What::Progressed { .. } | What::CancelRequested { .. })
    );
    let has_ended = last.is_some_and(|last| last.what.is_terminal());
    let may_follow = match &event.what {
        What::Started { .. } => !is_open,
        // Deferred also before it has begun: its department has used up its budget, say.
        What::Cancelled { .. } | What::Deferred { .. } => true,
        What::Retried { .. } => return (!has_ended).then_some(Wrong::Order),
        What::Progressed { .. }
        | What::CancelRequested { .. }
        | What::Interrupted { .. }
        | What::AttemptFailed { .. }
        | What::Completed { .. }
        | What::Failed { .. } => is_open,
    };
    match has_ended {
        true => Some(Wrong::AfterEnd),
        false => (!may_follow).then_some(Wrong::Order),
    }
}

#[cfg(test)]
mod tests;
