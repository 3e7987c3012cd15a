//! About how long a kind of task takes: from the history, remembered for a while, since every submission asks.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nexus_core::id::DepartmentName;
use nexus_history::History;
use tokio::time::Instant;

/// Estimates at hand.
#[derive(Debug, Default)]
pub(super) struct Estimates(Mutex<HashMap<Kind, Estimate>>);

type Kind = (DepartmentName, String);

#[derive(Clone, Copy, Debug)]
struct Estimate {
    at: Instant,
    millis: Option<u64>,
}

/// The time for which an estimate is good enough.
const AGE: Duration = Duration::from_secs(10);
/// Estimates kept; when there are more kinds of task than that, they are asked for anew.
const KEPT: usize = 256;

impl Estimates {
    /// In milliseconds; none for a kind of which nothing was completed yet.
    pub(super) async fn of(&self, history: &History, department: &DepartmentName, task_type: &str) -> Option<u64> {
        let kind = (department.clone(), task_type.to_owned());
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&kind).copied();
        if let Some(estimate) = known.filter(|estimate| estimate.at.elapsed() < AGE) {
            return estimate.millis;
        }
        let millis = history.estimate_ms(department, task_type).await.ok().flatten();
        let mut estimates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if estimates.len() >= KEPT {
            estimates.clear();
        }
        estimates.insert(kind, Estimate { at: Instant::now(), millis });
        millis
    }
}
