//! The story of a run: a log with monotonic times, the faults with their beginnings and ends, and what was found wrong
//! on the way.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use nexus_core::id::{NodeId, TaskId};
use serde::Serialize;

use crate::error::HarnessError;
use crate::faults::Fault;
use crate::mark::Moment;

/// One fault, from its beginning until everything of it was healed.
#[derive(Clone, Debug)]
pub(crate) struct Incident {
    pub(crate) fault: Fault,
    /// The node that it hit, if it hit one.
    pub(crate) node: Option<NodeId>,
    pub(crate) begin: Moment,
    /// When its node was ready again, if it had to be started again.
    pub(crate) ready: Option<Moment>,
    pub(crate) end: Moment,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Violation {
    pub(crate) kind: Wrong,
    pub(crate) task: Option<TaskId>,
    pub(crate) what: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wrong {
    /// Acknowledged, and not ended.
    Lost,
    /// Two process trees worked on one task.
    Overlap,
    /// A process was left.
    Orphan,
    /// Something follows a terminal event.
    AfterEnd,
    /// An event that may not follow the one before it.
    Order,
    /// An attempt was used up by what was not its agent's failure.
    Attempts,
    /// "Cancelled" was said while a process of it was alive.
    EarlyCancel,
    /// The status that the company tells of a task is not that of its ledger.
    Status,
    /// A task ended in a way that nobody asked for, or that its agent's marks contradict.
    Outcome,
    /// Commits are not where the result says, or the user's repository was touched.
    Repository,
    /// A company ended, refused to start or took no work, when nothing was wrong any more.
    Company,
}

impl Wrong {
    pub(crate) const ALL: [Self; 11] = [
        Self::Lost,
        Self::Overlap,
        Self::Orphan,
        Self::AfterEnd,
        Self::Order,
        Self::Attempts,
        Self::EarlyCancel,
        Self::Status,
        Self::Outcome,
        Self::Repository,
        Self::Company,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Overlap => "overlaps",
            Self::Orphan => "orphans",
            Self::AfterEnd => "events after the end",
            Self::Order => "events out of order",
            Self::Attempts => "attempts used up wrongly",
            Self::EarlyCancel => "cancelled too early",
            Self::Status => "status untrue",
            Self::Outcome => "wrong outcomes",
            Self::Repository => "repository",
            Self::Company => "company failed",
        }
    }
}

impl Violation {
    pub(crate) fn new(kind: Wrong, task: Option<TaskId>, what: impl Into<String>) -> Self {
        Self { kind, task, what: what.into() }
    }
}

/// Told as it happens.
#[derive(Debug)]
pub(crate) struct Story {
    file: Mutex<File>,
    begin: Moment,
    incidents: Mutex<Vec<Incident>>,
    violations: Mutex<Vec<Violation>>,
}

impl Story {
    pub(crate) fn new(path: &Path) -> Result<Self, HarnessError> {
        let file = File::create(path).map_err(HarnessError::io("the run's log"))?;
        let begin = Moment::now();
        Ok(Self { file: file.into(), begin, incidents: Mutex::default(), violations: Mutex::default() })
    }

    /// Monotonic nanoseconds as in the marks, and seconds since the run began.
    pub(crate) fn tell(&self, what: impl AsRef<str>) {
        let now = Moment::now();
        let since = now.since(self.begin).as_secs_f64();
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(file, "{} {since:9.3} {}", now.0, what.as_ref());
    }

    pub(crate) fn incident(&self, incident: Incident) {
        self.incidents.lock().unwrap_or_else(PoisonError::into_inner).push(incident);
    }

    pub(crate) fn wrong(&self, violation: Violation) {
        self.tell(format!("WRONG {violation:?}"));
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).push(violation);
    }

    pub(crate) fn incidents(&self) -> Vec<Incident> {
        self.incidents.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn violations(&self) -> Vec<Violation> {
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) const fn begin(&self) -> Moment {
        self.begin
    }
}
