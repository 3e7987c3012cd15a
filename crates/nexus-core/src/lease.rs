//! Leases: who a node or the CEO is at the moment, and how long that holds without a renewal.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::{AgentName, NodeId};

/// The things that can be held: keys of the KV bucket `nexus_lease`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LeaseKey {
    /// The one node whose CEO takes work and answers.
    Ceo,
    /// A node is alive, and does what it has in hand.
    Node(NodeId),
}

impl fmt::Display for LeaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ceo => f.write_str("ceo"),
            Self::Node(node) => write!(f, "node.{node}"),
        }
    }
}

/// Who holds a lease: the value of a key of `nexus_lease`. It is written anew at each renewal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Holder {
    /// Version of the stored form.
    pub v: u32,
    pub node: NodeId,
    /// This run of the node: a restarted one is another.
    pub run: Uuid,
    /// The time for which it holds without a renewal, in milliseconds.
    pub lease_ms: u64,
    /// The number of its renewals by this run: whoever waits sees by it whether a renewal went unheard.
    pub beat: u64,
    /// The agents that a node has, of those that its departments list; absent where it doesn't say, or not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<Vec<AgentName>>,
}

/// The parts of a lease. Whoever holds one has given up everything that it covers before anybody else may take it over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms(Duration);

impl Terms {
    /// `lease`: how long after a renewal nobody else takes over.
    #[must_use]
    pub const fn new(lease: Duration) -> Self {
        Self(lease)
    }

    /// The time that others wait after the last sign of life before they take over.
    #[must_use]
    pub const fn lease(self) -> Duration {
        self.0
    }

    /// The time between two renewals.
    #[must_use]
    pub fn period(self) -> Duration {
        self.0 / 3
    }

    /// The time after a renewal was asked for in which its holder goes on without another; the rest of the lease is for giving up.
    #[must_use]
    pub fn held(self) -> Duration {
        self.0 * 2 / 3
    }

    /// When the guard ends what the holder, stopped perhaps, has not.
    #[must_use]
    pub fn last_call(self) -> Duration {
        self.0 * 5 / 6
    }

    /// The time for which a task is a worker's without a renewal. Longer than the node's own lease: a broker that is restarted on a
    /// large store is not answered for so long, and a node that is gone is noticed by its own lease.
    #[must_use]
    pub fn task(self) -> Self {
        Self(self.0 * 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_gives_up_before_its_guard_ends_it_and_both_before_others_take_over() {
        for millis in [1_000, 2_000, 10_000, 600_000] {
            let terms = Terms::new(Duration::from_millis(millis));
            assert!(terms.period() * 2 <= terms.held(), "a renewal can fail once");
            assert!(terms.held() < terms.last_call() && terms.last_call() < terms.lease());
            assert!(terms.task().held() > terms.lease());
        }
    }
}
