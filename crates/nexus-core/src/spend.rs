//! Spending by day, department and agent: the part that each record of the ledger adds.
//!
//! Totals of a run are absolute, so what an event adds is the difference to what was known of the same attempt before it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::budget::Spent;
use crate::event::{Event, What};
use crate::id::{AgentName, DepartmentName};
use crate::run::RunReport;
use crate::view::{Record, Status, TaskView};

/// The part that a record adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expense {
    pub purse: Purse,
    pub spent: Spent,
}

/// Where it is added.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Purse {
    pub day: Date,
    pub department: DepartmentName,
    pub agent: AgentName,
}

/// The spending of one day, by department and agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spending(BTreeMap<(DepartmentName, AgentName), Spent>);

impl Spending {
    pub fn add(&mut self, department: DepartmentName, agent: AgentName, spent: Spent) {
        let sum = self.0.entry((department, agent)).or_default();
        *sum = sum.plus(spent);
    }

    /// Of a department, or (`None`) of all.
    #[must_use]
    pub fn of(&self, department: Option<&DepartmentName>) -> Spent {
        self.sum(|(name, _)| department.is_none_or(|department| department == name))
    }

    #[must_use]
    pub fn by(&self, agent: &AgentName) -> Spent {
        self.sum(|(_, name)| agent == name)
    }

    fn sum(&self, counts: impl Fn(&(DepartmentName, AgentName)) -> bool) -> Spent {
        let spent = self.0.iter().filter(|(key, _)| counts(key)).map(|(_, spent)| *spent);
        spent.fold(Spent::default(), Spent::plus)
    }
}

/// The day of budgets.
#[must_use]
pub fn day(at: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(at).date()
}

/// When the next one begins.
#[must_use]
pub fn next_day(at: Timestamp) -> Timestamp {
    let next = day(at).checked_add(1.day()).and_then(|date| date.to_zoned(TimeZone::UTC));
    next.map_or(at, |next| next.timestamp())
}

/// The part that `record` adds to the spending of its task, which is `before` without it and `after` with it.
#[must_use]
pub fn expense(before: Option<&TaskView>, after: Option<&TaskView>, record: &Record) -> Option<Expense> {
    let Record::Event(event) = record else { return None };
    let (before, after) = (before?, after?);
    if matches!(event.what, What::Started { .. } | What::Retried { .. }) {
        return None;
    }
    let so_far = |run: Option<&RunReport>| run.map_or_else(Spent::default, |run| Spent::of(run, Duration::ZERO));
    let mut spent = so_far(after.run.as_ref()).since(so_far(before.run.as_ref()));
    spent.wall_ms = wall(before, event);
    let agent = before.assigned_agent.clone()?;
    let purse = Purse { day: day(event.at), department: event.department.clone(), agent };
    (!spent.is_nothing()).then_some(Expense { purse, spent })
}

/// For how long the attempt has run that this event ends.
fn wall(before: &TaskView, event: &Event) -> u64 {
    if before.status != Status::Running {
        return 0;
    }
    let since_start = |at: Timestamp| {
        let began = before.attempt_started_at.unwrap_or(at);
        u64::try_from(at.duration_since(began).as_millis()).unwrap_or(0)
    };
    match &event.what {
        What::Completed { outcome }
        | What::Failed { outcome, .. }
        | What::AttemptFailed { outcome, .. }
        | What::Cancelled { outcome: Some(outcome), .. } => outcome.duration_ms,
        What::Deferred { .. } => since_start(event.at),
        // It may be written long after its holder was gone: until then nothing was heard of it.
        What::Interrupted { .. } | What::Cancelled { outcome: None, .. } => since_start(before.updated_at),
        _ => 0,
    }
}

/// The run of an attempt, as this event tells it.
#[must_use]
pub fn told(event: &Event) -> Option<&RunReport> {
    match &event.what {
        What::Progressed { run, .. } => Some(run),
        What::Interrupted { run, .. } | What::Deferred { run, .. } => run.as_ref(),
        What::Completed { outcome }
        | What::Failed { outcome, .. }
        | What::AttemptFailed { outcome, .. }
        | What::Cancelled { outcome: Some(outcome), .. } => outcome.run.as_ref(),
        _ => None,
    }
}

/// No more is said of its attempt.
#[must_use]
pub const fn is_end(event: &Event) -> bool {
    !matches!(event.what, What::Started { .. } | What::Progressed { .. } | What::CancelRequested { .. })
}

#[cfg(test)]
mod tests;
