//! Messages between the machine and its worker: reports go in, orders come out.

use jiff::Timestamp;

use super::Conclusion;
use crate::event::Failure;
use crate::run::Said;

/// Reports of the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The agent's process runs.
    Spawned,
    /// It could not be started, or its workspace not be prepared.
    NotStarted(Failure),
    /// It has written this many bytes more.
    Output(u64),
    /// It is at work, though it may say nothing: it has used processor time.
    Worked,
    /// Its stream says something.
    Said(Said),
    /// It can't go on for now, for a reason that is none of its own: its department has used up its budget.
    Defer { reason: String, until: Option<Timestamp> },
    /// It has used more than it may of what somebody else counts: memory, processes. Said before the leader's end that may
    /// come of it.
    Exceeded(Failure),
    /// The leader has ended; others of its tree may live.
    LeaderExited(ExitStatus),
    /// No process of the tree is alive.
    TreeGone,
    /// Somebody asked for the task to be cancelled.
    Cancel(String),
    /// The company stops, or the department is restarted: end it, and queue the task again.
    Interrupt(String),
    /// Somebody else owns the task now, or may soon: end it at once.
    LeaseLost,
    /// A deadline may have passed.
    Tick,
}

/// The end of a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    Code(i32),
    Signal(i32),
}

/// Orders to the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Signal the whole tree.
    Signal(Signal),
    /// Stop preparing and starting, and report [`Input::NotStarted`] (or [`Input::Spawned`], if it was too late).
    Abandon,
    /// A line of the task's log that says what is being done, and why.
    Note(String),
    /// The attempt is over and no process of it lives: write this down.
    Conclude(Conclusion),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Interrupt,
    Terminate,
    Kill,
}
