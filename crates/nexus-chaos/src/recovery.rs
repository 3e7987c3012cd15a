//! The time that it took to go on after a fault, from the marks and the answers alone. Pure.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use nexus_core::id::{NodeId, TaskId};
use serde::Serialize;

use crate::company::LEASE;
use crate::faults::Fault;
use crate::mark::{Kind, Mark, Moment};
use crate::story::Incident;

/// The recoveries that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Recovery {
    /// From the start after a SIGKILL of nexus to the moment it is ready.
    NexusReady,
    /// From there until the first task that it had in hand runs again.
    FirstRequeued,
    /// From a node's death until the first of its tasks runs on another one.
    TakenOver,
    /// From a SIGKILL of nats-server until a submission made after it is accepted.
    SubmissionsAccepted,
}

impl Recovery {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NexusReady => "nexus killed -> ready",
            Self::FirstRequeued => "ready -> first requeued task runs",
            Self::TakenOver => "node dead -> its first task runs elsewhere",
            Self::SubmissionsAccepted => "nats-server killed -> submission accepted",
        }
    }

    /// The limit that is promised.
    pub(crate) fn limit(self) -> Option<Duration> {
        match self {
            Self::NexusReady => None,
            Self::FirstRequeued => Some(Duration::from_secs(1)),
            Self::TakenOver => Some(LEASE + Duration::from_secs(1)),
            Self::SubmissionsAccepted => Some(Duration::from_secs(2)),
        }
    }
}

/// Samples of one kind, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Times {
    pub(crate) samples: usize,
    pub(crate) p50_ms: u64,
    pub(crate) max_ms: u64,
}

impl Times {
    pub(crate) fn of(mut samples: Vec<u64>) -> Option<Self> {
        samples.sort_unstable();
        let max_ms = *samples.last()?;
        Some(Self { samples: samples.len(), p50_ms: samples[(samples.len() - 1) / 2], max_ms })
    }
}

/// All times that can be told from a run. A fault that another one fell into tells nothing.
pub(crate) fn times(incidents: &[Incident], marks: &[Mark], asks: &[(Moment, Moment)]) -> BTreeMap<Recovery, Vec<u64>> {
    let mut times = BTreeMap::<Recovery, Vec<u64>>::new();
    for (index, incident) in incidents.iter().enumerate() {
        let mut sample = |what, from: Moment, to: Moment| {
            let disturbs = |other: &Incident| other.begin <= to && incident.begin <= other.end;
            let others = incidents.iter().enumerate().filter(|(other, _)| *other != index);
            if !others.map(|(_, other)| other).any(disturbs) {
                let millis = u64::try_from(to.since(from).as_millis()).unwrap_or(u64::MAX);
                times.entry(what).or_default().push(millis);
            }
        };
        let held = |node: &NodeId| held_by(node, incident.begin, marks);
        match (incident.fault, &incident.node, incident.ready) {
            (Fault::KillNexus, Some(node), Some(ready)) => {
                sample(Recovery::NexusReady, incident.begin, ready);
                if let Some(again) = first_start(marks, &held(node), incident.begin, |_| true) {
                    sample(Recovery::FirstRequeued, ready.min(again), again);
                }
            }
            (Fault::NodeDead, Some(node), _) => {
                if let Some(again) = first_start(marks, &held(node), incident.begin, |other| other != node) {
                    sample(Recovery::TakenOver, incident.begin, again);
                }
            }
            (Fault::KillBroker, ..) => {
                let after = asks.iter().filter(|(asked, _)| *asked > incident.begin).map(|(_, answered)| *answered);
                if let Some(first) = after.min() {
                    sample(Recovery::SubmissionsAccepted, incident.begin, first);
                }
            }
            _ => {}
        }
    }
    times
}

/// Tasks that a node was working on at a moment: begun there before, and not ended before.
fn held_by(node: &NodeId, at: Moment, marks: &[Mark]) -> HashSet<TaskId> {
    let begun = marks.iter().filter(|mark| mark.kind == Kind::Start && mark.at < at && mark.node == *node);
    let over = |start: &&Mark| {
        // Ended by itself, or by an end that left no mark: then it has begun again since.
        marks
            .iter()
            .any(|mark| mark.task == start.task && mark.at > start.at && mark.at < at && mark.kind != Kind::Overlap)
    };
    begun.filter(|start| !over(start)).map(|mark| mark.task).collect()
}

fn first_start(marks: &[Mark], tasks: &HashSet<TaskId>, after: Moment, on: impl Fn(&NodeId) -> bool) -> Option<Moment> {
    let starts = marks.iter().filter(|mark| mark.kind == Kind::Start && mark.at > after && tasks.contains(&mark.task));
    starts.filter(|mark| on(&mark.node)).map(|mark| mark.at).min()
}

#[cfg(test)]
mod tests;
