//! The evidence that agents leave: one line per start, end and overlap, appended by one write each.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use nexus_core::id::{DepartmentName, NodeId, TaskId};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// A point in time of the machine's monotonic clock, in nanoseconds: comparable between processes, and no jump of the
/// wall clock moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Moment(pub(crate) u64);

impl Moment {
    pub(crate) fn now() -> Self {
        let now = clock_gettime(ClockId::Monotonic);
        let secs = u64::try_from(now.tv_sec).unwrap_or_default();
        Self(secs * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or_default())
    }

    /// The time from `earlier` to this; nothing if it wasn't earlier.
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Start,
    /// With the exit code that follows.
    End(i32),
    /// The task's lock was not free: another process tree works on it.
    Overlap,
}

/// One line of the marks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) kind: Kind,
    pub(crate) task: TaskId,
    pub(crate) attempt: u32,
    pub(crate) department: DepartmentName,
    pub(crate) node: NodeId,
    pub(crate) pid: u32,
    /// When the process began, in the kernel's ticks: with the pid it names the process for ever.
    pub(crate) began: u64,
    pub(crate) at: Moment,
    /// The commit that it has made at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<String>,
}

impl Mark {
    /// The same process.
    pub(crate) const fn is_of(&self, other: &Self) -> bool {
        self.pid == other.pid && self.began == other.began
    }
}

/// Appends marks. The kernel keeps each line whole: it is one write to a file opened for appending.
#[derive(Debug)]
pub(crate) struct Marks(File);

impl Marks {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        OpenOptions::new().create(true).append(true).open(path).map(Self)
    }

    pub(crate) fn append(&mut self, mark: &Mark) -> io::Result<()> {
        let mut line = serde_json::to_vec(mark)?;
        line.push(b'\n');
        self.0.write_all(&line)
    }
}

/// All marks so far, in the order of their writing. What is no mark is an error: evidence must not be lost.
pub(crate) fn read(path: &Path) -> io::Result<Vec<Mark>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    text.lines().map(|line| serde_json::from_str(line).map_err(io::Error::from)).collect()
}

/// Marks of attempts that began and left no end: they run, or were ended from outside.
pub(crate) fn unended(marks: &[Mark]) -> impl Iterator<Item = &Mark> {
    let ended = |start: &Mark| marks.iter().any(|mark| matches!(mark.kind, Kind::End(_)) && mark.is_of(start));
    marks.iter().filter(move |mark| mark.kind == Kind::Start && !ended(mark))
}
