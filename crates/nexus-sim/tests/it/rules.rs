//! The rules that the runtime keeps around nexus-core's decisions. Each can be switched off, to show that it is needed.

use crate::ledger::Millis;

/// Which rules are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// `started` expects the task's last event.
    pub(crate) fenced_start: bool,
    /// Tasks that a node has in hand, or is about to, are known to whoever admits a delivery.
    pub(crate) board: bool,
    /// A node's agents are ended in time though the node itself stands still.
    pub(crate) guard: bool,
    /// Work that was begun in one term of the node's lease is not gone on with in the next.
    pub(crate) terms: bool,
    /// Whoever is brought the entry of an attempt again that failed and was to go on at once queues the next one.
    pub(crate) queue_next: bool,
    /// Before another node's attempt is put back, its lease is looked at once more.
    pub(crate) look_again: bool,
}

pub(crate) const ALL: Rules =
    Rules { fenced_start: true, board: true, guard: true, terms: true, queue_next: true, look_again: true };

/// A node's lease; the parts are those of the runtime.
pub(crate) const LEASE: Millis = 10_000;
pub(crate) const PERIOD: Millis = LEASE / 3;
pub(crate) const HELD: Millis = LEASE * 2 / 3;
pub(crate) const LAST_CALL: Millis = LEASE * 5 / 6;
/// A task's own lease, which is the queue's ack wait.
pub(crate) const TASK_LEASE: Millis = LEASE * 3;
pub(crate) const TASK_PERIOD: Millis = TASK_LEASE / 3;
pub(crate) const TASK_HELD: Millis = TASK_LEASE * 2 / 3;
