//! The health of trees: how many processes, how much processor, how much memory. Works only while it is asked.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

mod watch;

pub use watch::{Vitals, Watch};

/// Which processes are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// A process group, by its leader.
    Group(u32),
    /// All that descends from a process, but not itself: what a warden keeps.
    Below(u32),
}

/// One tree, as it was a moment ago.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Processes alive; outside Linux the leader only, here and below.
    pub processes: u32,
    /// Percent of one processor since the sample before, all processes together; 0 in a group's first sample.
    pub cpu_percent: f32,
    /// Resident memory, in bytes; what processes share counts once for each.
    pub rss_bytes: u64,
}

/// Samples trees. One is enough for a program: what is asked for twice within half a second is read once.
#[derive(Debug, Default)]
pub struct Sampler {
    trees: Mutex<HashMap<Target, Known>>,
    watched: watch::Watched,
}

/// Processor time is counted in ticks of 10 ms: over half a second that is 2 percent.
const FRESH: Duration = Duration::from_millis(500);
/// A tree that was not asked for this long is forgotten; that is the bound on what is kept.
const FORGET: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Known {
    at: Instant,
    sample: Sample,
    /// Milliseconds of processor time, of each process.
    cpu: HashMap<u32, u64>,
}

impl Sampler {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// These trees; one with no process alive is absent. Reads files, about 0.1 ms a process: from async
    /// code, call it on a blocking thread.
    pub fn sample(&self, wanted: &[Target]) -> HashMap<Target, Sample> {
        let mut groups = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        groups.retain(|_, known| now.duration_since(known.at) < FORGET);
        let fresh = |known: &Known| now.duration_since(known.at) < FRESH;
        let stale: HashSet<Target> =
            wanted.iter().copied().filter(|leader| !groups.get(leader).is_some_and(fresh)).collect();
        if !stale.is_empty() {
            refresh(&mut groups, &stale, now);
        }
        wanted
            .iter()
            .filter_map(|leader| Some((*leader, groups.get(leader)?.sample)))
            .filter(|(_, sample)| sample.processes > 0)
            .collect()
    }
}

fn refresh(groups: &mut HashMap<Target, Known>, leaders: &HashSet<Target>, now: Instant) {
    let members = members(leaders);
    let pids: Vec<Pid> = members.iter().map(|(pid, _)| Pid::from_u32(*pid)).collect();
    let mut system = match System::new() {
        Ok(system) => system,
        Err(error) => {
            tracing::debug!(%error, "processes can't be sampled");
            return;
        }
    };
    let kind = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, kind);

    let mut found: HashMap<Target, (Sample, HashMap<u32, u64>)> = HashMap::new();
    for (pid, leader) in members {
        let Some(process) = system.process(Pid::from_u32(pid)) else { continue };
        let (sample, cpu) = found.entry(leader).or_default();
        sample.processes += 1;
        sample.rss_bytes += process.memory();
        cpu.insert(pid, process.accumulated_cpu_time());
    }
    for leader in leaders {
        // A group that is gone is kept as empty: asking for it again soon costs nothing.
        let (mut sample, cpu) = found.remove(leader).unwrap_or_default();
        if let Some(before) = groups.get(leader) {
            sample.cpu_percent = percent(&before.cpu, &cpu, now.duration_since(before.at));
        }
        groups.insert(*leader, Known { at: now, sample, cpu });
    }
}

/// A process that is new since the sample before used all its time since then.
fn percent(before: &HashMap<u32, u64>, after: &HashMap<u32, u64>, time: Duration) -> f32 {
    let used = |(pid, cpu): (&u32, &u64)| cpu.saturating_sub(before.get(pid).copied().unwrap_or(0));
    let used = Duration::from_millis(after.iter().map(used).sum());
    if time.is_zero() { 0.0 } else { 100.0 * used.as_secs_f32() / time.as_secs_f32() }
}

/// Pairs of a living process and the tree that it is of.
#[cfg(target_os = "linux")]
fn members(wanted: &HashSet<Target>) -> Vec<(u32, Target)> {
    let Some(all) = crate::group::procfs::all() else { return leaders(wanted) };
    let all: Vec<_> = all.collect();
    let mut members: Vec<_> = watch::below(&all, wanted).into_iter().map(|(stat, target)| (stat.pid, target)).collect();
    let group = |stat: &&crate::group::procfs::Stat| stat.alive && wanted.contains(&Target::Group(stat.group));
    members.extend(all.iter().filter(group).map(|stat| (stat.pid, Target::Group(stat.group))));
    members
}

#[cfg(not(target_os = "linux"))]
fn members(wanted: &HashSet<Target>) -> Vec<(u32, Target)> {
    leaders(wanted)
}

fn leaders(wanted: &HashSet<Target>) -> Vec<(u32, Target)> {
    wanted
        .iter()
        .map(|target| match target {
            Target::Group(pid) | Target::Below(pid) => (*pid, *target),
        })
        .collect()
}
