//! The decision about a delivery of the queue, by the ledger's last word on its task.

use crate::event::{Event, What};
use crate::task::QueueEntry;

/// Facts about a delivery beside the entry that it brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The entry's sequence on the ledger.
    pub seq: u64,
    /// It was delivered before. Why it comes again isn't known: a lease lapsed, somebody gave it back (perhaps long ago,
    /// over a connection that was away), or the broker was killed.
    pub redelivered: bool,
    /// It brings the very entry that the attempt on the ledger came from ([`What::delivery`]).
    pub again: bool,
    /// That attempt is one of this very node's.
    pub ours: bool,
    /// This node has the task in hand: it is about to start it, runs it, or ends what is left of it.
    pub held: bool,
    /// This node has given it back for a whole lease before, that lease is over, and nothing has been written since.
    pub waited: bool,
}

/// The decision about a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Publish `started`, expecting this to be the sequence of the task's last event (0: there is none).
    Start { expect: u64 },
    /// There is nothing to do: acknowledge it, and run nothing.
    Drop,
    /// It can't be told yet.
    Later(Wait),
    /// The attempt on the ledger is nobody's any more: revive the task ([`crate::revival::revive`]), and drop this.
    Revive,
    /// The attempt that this brought has failed, and the next one may never have been queued: queue it
    /// ([`crate::revival::unqueued`]) unless a newer entry is there, and drop this.
    QueueNext,
}

/// For what a delivery waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// For this node to let go of what is left of an earlier attempt.
    Holder,
    /// For a whole lease of the task: if nobody has renewed it or ended the task by then, its holder is gone.
    Lease,
}

/// The sequence of the task's last event, as the entry tells it (0: there is none), so that it may be started without a look at
/// the ledger. Where that is wrong, the start is refused.
#[must_use]
pub const fn expected(entry: &QueueEntry, arrival: Arrival) -> Option<u64> {
    if arrival.redelivered {
        return None;
    }
    if entry.attempt == 1 && entry.interruptions == 0 { Some(0) } else { entry.after }
}

/// Decides by the task's last event and its sequence. `None`: nothing has happened to it yet.
#[must_use]
pub fn turn(entry: &QueueEntry, arrival: Arrival, last: Option<(&Event, u64)>) -> Turn {
    let Some((event, seq)) = last else { return Turn::Start { expect: 0 } };
    let due = match &event.what {
        What::Completed { .. } | What::Failed { .. } | What::Cancelled { .. } => return Turn::Drop,
        What::Started { .. } | What::Progressed { .. } | What::CancelRequested { .. } => {
            return unended(event, arrival);
        }
        What::Interrupted { .. } => event.attempt,
        // One that was deferred before its first attempt is for that one.
        What::Deferred { .. } => event.attempt.max(1),
        What::AttemptFailed { .. } | What::Retried { .. } => event.attempt + 1,
    };
    // Two writes, the second of which whoever had it may not have lived to make: its delivery was not ended either.
    if event.goes_on_at_once() && arrival.seq < seq && entry.attempt == event.attempt {
        return if arrival.held { Turn::Later(Wait::Lease) } else { Turn::QueueNext };
    }
    // The event's own entry comes after it on the ledger, and is for the attempt that is due. Another one is left over:
    // its end was lost, or it was scheduled before the task was retried by hand.
    if arrival.seq < seq || entry.attempt != due {
        return Turn::Drop;
    }
    // Somebody else has put back what this node still holds: not beside its own processes.
    if arrival.held { Turn::Later(Wait::Holder) } else { Turn::Start { expect: seq } }
}

/// An attempt is on the ledger, and its end isn't.
fn unended(event: &Event, arrival: Arrival) -> Turn {
    if event.what.delivery().is_some() && !arrival.again {
        // Another entry of the task: the attempt goes on, and has a delivery of its own.
        return Turn::Drop;
    }
    if arrival.held {
        // Its holder's renewals put that off; sooner, it might be brought to another node, which would take it for lapsed.
        return Turn::Later(Wait::Lease);
    }
    // Nobody has it here, where it would be; or nobody has renewed its lease for the whole of it, so that its holder has
    // ended its agent before that. Less is no proof.
    if arrival.ours || arrival.waited { Turn::Revive } else { Turn::Later(Wait::Lease) }
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
