//! The results of the runs, as data: one by one, and all together.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::cli::Mode;
use crate::faults::Fault;
use crate::recovery::{Recovery, Times};
use crate::story::{Violation, Wrong};

/// Tasks by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tasks {
    pub(crate) acknowledged: usize,
    pub(crate) completed: usize,
    pub(crate) failed: usize,
    pub(crate) cancelled: usize,
    /// Effects of a completed task beyond its first: an agent may have finished just before it was interrupted.
    pub(crate) duplicated: usize,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) mode: Mode,
    pub(crate) seconds: f64,
    pub(crate) faults: BTreeMap<Fault, usize>,
    /// Faults that this machine doesn't allow.
    pub(crate) skipped: BTreeMap<Fault, usize>,
    pub(crate) tasks: Tasks,
    pub(crate) recovery: BTreeMap<Recovery, Vec<u64>>,
    pub(crate) violations: Vec<Violation>,
    /// Where its logs and data are, if they were kept.
    pub(crate) kept: Option<PathBuf>,
}

/// Several runs together.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Total {
    pub(crate) seeds: usize,
    pub(crate) seconds: f64,
    pub(crate) faults: BTreeMap<Fault, usize>,
    pub(crate) skipped: BTreeMap<Fault, usize>,
    pub(crate) tasks: Tasks,
    pub(crate) violations: BTreeMap<Wrong, usize>,
    pub(crate) recovery: BTreeMap<Recovery, Times>,
}

impl Total {
    pub(crate) fn of<'a>(reports: impl Iterator<Item = &'a Report> + Clone) -> Self {
        let mut total = Self::default();
        let mut samples = BTreeMap::<Recovery, Vec<u64>>::new();
        for report in reports {
            total.seeds += 1;
            total.seconds += report.seconds;
            report.faults.iter().for_each(|(fault, n)| *total.faults.entry(*fault).or_default() += n);
            report.skipped.iter().for_each(|(fault, n)| *total.skipped.entry(*fault).or_default() += n);
            report.violations.iter().for_each(|wrong| *total.violations.entry(wrong.kind).or_default() += 1);
            report.recovery.iter().for_each(|(what, times)| samples.entry(*what).or_default().extend(times));
            let (all, one) = (&mut total.tasks, &report.tasks);
            all.acknowledged += one.acknowledged;
            all.completed += one.completed;
            all.failed += one.failed;
            all.cancelled += one.cancelled;
            all.duplicated += one.duplicated;
        }
        total.recovery = samples.into_iter().filter_map(|(what, times)| Some((what, Times::of(times)?))).collect();
        total
    }
}
