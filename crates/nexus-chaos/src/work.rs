//! The work of a run: pieces of all sorts, from the seed alone, and what their user does with them.

use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use nexus_core::id::Priority;
use nexus_core::task::Submission;
use serde::{Deserialize, Serialize};

use crate::site::Site;

/// The plan of an agent: a task's description, as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The number of the piece of work in its run.
    pub(crate) n: u32,
    pub(crate) work_ms: u64,
    /// Processes that it starts beside itself.
    pub(crate) children: u32,
    /// The time that they live longer than it.
    pub(crate) linger_ms: u64,
    pub(crate) lines: u32,
    /// Attempts that fail by design.
    pub(crate) fails: u32,
    /// Fails until somebody has mended what it needs.
    pub(crate) broken: bool,
    /// Only KILL ends it.
    pub(crate) stubborn: bool,
}

/// The exit code by which an agent says that it failed by design; any other code is somebody else's doing.
pub(crate) const FAILED: i32 = 3;

impl Plan {
    /// True if this attempt fails by design.
    pub(crate) const fn fails(&self, attempt: u32) -> bool {
        self.broken || attempt <= self.fails
    }
}

/// A piece of work and what its user does with it.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) plan: Plan,
    pub(crate) department: &'static str,
    pub(crate) priority: Priority,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) delay: Option<Duration>,
    pub(crate) cancel_after: Option<Duration>,
}

/// Departments with their workspaces; the load is spread over them.
pub(crate) const DEPARTMENTS: [(&str, &str); 4] =
    [("mill", "in_place"), ("forge", "scratch"), ("yard", "in_place"), (CLONES, "clone")];

/// The department that works in clones of the run's repository, and commits.
pub(crate) const CLONES: &str = "loom";

/// Of each department, on each node.
pub(crate) const WORKERS: u32 = 3;

impl Order {
    /// The `n`th piece of work of a run.
    pub(crate) fn draw(n: u32, rng: &mut Rng) -> Self {
        let mut plan = Plan { n, work_ms: rng.u64(50..500), children: rng.u32(0..3), ..Plan::default() };
        let (mut max_attempts, mut delay, mut cancel_after) = (None, None, None);
        match rng.u32(0..100) {
            0..8 => plan.lines = rng.u32(200..3000),
            8..20 => {
                plan.fails = rng.u32(1..3);
                // One to spare: a killed agent counts as a failure too.
                max_attempts = Some(plan.fails + 2);
            }
            20..26 => {
                plan.broken = true;
                max_attempts = Some(rng.u32(1..3));
            }
            26..34 => delay = Some(Duration::from_millis(rng.u64(500..4000))),
            34..46 => {
                plan.work_ms = rng.u64(200..6000);
                plan.stubborn = rng.u32(0..3) == 0;
                cancel_after = Some(Duration::from_millis(rng.u64(0..3000)));
            }
            46..56 => plan.work_ms = rng.u64(3000..9000),
            56..60 => {
                plan.stubborn = true;
                plan.work_ms = rng.u64(500..4000);
            }
            60..68 => plan.linger_ms = rng.u64(50..700),
            _ => {}
        }
        Self {
            plan,
            department: DEPARTMENTS[rng.usize(..DEPARTMENTS.len())].0,
            priority: Priority::new(rng.u64(0..10)).unwrap_or_default(),
            max_attempts,
            delay,
            cancel_after,
        }
    }

    /// The same, sound, and as long as it takes to be found at work when a lease is over.
    pub(crate) fn long(n: u32, rng: &mut Rng) -> Self {
        Self {
            plan: Plan { n, work_ms: rng.u64(8_000..12_000), ..Plan::default() },
            department: DEPARTMENTS[rng.usize(..DEPARTMENTS.len())].0,
            priority: Priority::DEFAULT,
            max_attempts: None,
            delay: None,
            cancel_after: None,
        }
    }

    /// As it is asked for, every time the same; `key` is its run's.
    pub(crate) fn submission(&self, site: &Site, key: &str) -> Submission {
        let due = |delay| Timestamp::now().checked_add(delay).ok();
        Submission {
            department: Some(self.department.to_owned()),
            project_path: match self.department {
                CLONES => site.repository().display().to_string(),
                _ => site.project().display().to_string(),
            },
            task_type: "chaos".to_owned(),
            priority: self.priority,
            max_attempts: self.max_attempts,
            not_before: self.delay.and_then(due),
            idempotency_key: Some(format!("{key}-{}", self.plan.n)),
            ..Submission::new(serde_json::to_string(&self.plan).unwrap_or_default())
        }
    }
}
