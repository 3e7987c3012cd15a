//! A CEO's memory of a department that fails, so that a crash loop isn't begun anew by a restart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::agent::AgentSpec;
use crate::department::Department;
use crate::id::{AgentName, DepartmentName, NodeId};
use crate::restart::{RestartHistory, RestartPolicy, Verdict};
use crate::task::STORED_VERSION;

/// The failures of one department on one node: the payload of `nexus.staff.<node>.<department>`, the newest of which holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StaffRecord {
    /// Version of the stored form.
    pub v: u32,
    pub node: NodeId,
    pub department: DepartmentName,
    /// Those that count: within the window of the company's `[restart]` when the last one happened, the oldest first.
    pub failures: Vec<StaffFailure>,
    /// All since it was last given a new chance, by `nexus resume` or by a change of its configuration.
    pub total: u64,
    /// Why it is stopped, if it is: it isn't started again before it is given a new chance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// Of its configuration at that time; another one is a new chance.
    pub fingerprint: Uuid,
    /// When this was written.
    #[schemars(with = "String")]
    pub at: Timestamp,
}

/// One failure of a department.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StaffFailure {
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Cut at 256 characters.
    pub cause: String,
}

/// Failures that are kept at most, whatever `max_restarts` allows: by then a restart waits 5 s, and with causes of 256
/// characters a record stays far below NATS's 1 MiB.
const MAX_FAILURES: usize = 256;
const MAX_CAUSE: usize = 256;

/// Namespace of fingerprints; arbitrary, fixed for ever.
const CHARTERS: Uuid = Uuid::from_u128(0x6e78_7573_0000_4000_8000_6368_6172_7472);

/// Tells whether a department's own configuration, with the agents that it lists, is still the same. (A version of Nexus
/// with a new key in it tells another one, and so gives a new chance.)
#[must_use]
pub fn fingerprint(policy: &Department, agents: &BTreeMap<AgentName, Arc<AgentSpec>>) -> Uuid {
    let json = serde_json::to_vec(&(policy, agents)).unwrap_or_default();
    Uuid::new_v5(&CHARTERS, &json)
}

impl StaffRecord {
    /// Of a department that hasn't failed.
    #[must_use]
    pub const fn new(node: NodeId, department: DepartmentName, fingerprint: Uuid, at: Timestamp) -> Self {
        Self { v: STORED_VERSION, node, department, failures: Vec::new(), total: 0, stopped: None, fingerprint, at }
    }

    /// Nothing stands against the department.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.failures.is_empty() && self.stopped.is_none()
    }

    /// It failed, under the configuration of this fingerprint, and this is what is done about it.
    pub fn failed(&mut self, policy: &RestartPolicy, verdict: Verdict, cause: &str, fingerprint: Uuid, at: Timestamp) {
        let cause: String = cause.chars().take(MAX_CAUSE).collect();
        self.stopped = (verdict == Verdict::Escalate).then(|| format!("failed too often: {cause}"));
        self.failures.retain(|failure| age(failure.at, at) <= policy.within.get());
        self.failures.push(StaffFailure { at, cause });
        let old = self.failures.len().saturating_sub(MAX_FAILURES);
        self.failures.drain(..old);
        (self.v, self.fingerprint, self.at) = (STORED_VERSION, fingerprint, at);
        self.total += 1;
    }

    /// It is given a new chance.
    pub fn lift(&mut self, fingerprint: Uuid, at: Timestamp) {
        *self = Self::new(self.node.clone(), self.department.clone(), fingerprint, at);
    }

    /// The failures that count on: `at` is the time of the wall, `now` that of the supervisor's own clock, which has to be
    /// at least the policy's window.
    ///
    /// A wall clock that was put back makes a failure as new as now, and one that was put forward makes it too old to
    /// count; neither stops a department, which takes another failure, nor lets a stopped one go.
    #[must_use]
    pub fn history(&self, policy: &RestartPolicy, at: Timestamp, now: Duration) -> RestartHistory {
        let ages = self.failures.iter().map(|failure| age(failure.at, at));
        RestartHistory::restore(ages.filter(|age| *age <= policy.within.get()), now)
    }
}

/// The time since `then`; never less than nothing.
fn age(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
