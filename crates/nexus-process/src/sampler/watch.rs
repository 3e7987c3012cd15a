//! Watching trees: one task looks at all of them, a few times a second, and tells each when it was last at work and what
//! it uses. It costs at most a two-hundredth of a processor, and nothing while there is nothing to watch.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{Sample, Sampler, Target};

/// The resources that a watched tree uses at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Vitals {
    pub processes: u32,
    /// Percent of one processor since the look before.
    pub cpu_percent: f32,
    /// Resident memory, in bytes; what processes share counts once for each.
    pub memory: u64,
    /// The number of looks that saw it at work: that it has used more than a hundredth of a processor since the look before.
    pub worked: u64,
}

impl From<Vitals> for Sample {
    fn from(vitals: Vitals) -> Self {
        Self { processes: vitals.processes, cpu_percent: vitals.cpu_percent, rss_bytes: vitals.memory }
    }
}

/// A tree that is watched until this is dropped.
#[derive(Clone, Debug)]
pub struct Watch {
    vitals: watch::Receiver<Vitals>,
}

impl Watch {
    /// Of what somebody else looks at.
    #[must_use]
    pub const fn of(vitals: watch::Receiver<Vitals>) -> Self {
        Self { vitals }
    }

    /// The vitals that the last look saw.
    #[must_use]
    pub fn last(&self) -> Vitals {
        *self.vitals.borrow()
    }

    /// The vitals that the next look sees; never, where nothing can be watched.
    pub async fn next(&mut self) -> Vitals {
        match self.vitals.changed().await {
            Ok(()) => *self.vitals.borrow_and_update(),
            Err(_) => std::future::pending().await,
        }
    }
}

#[derive(Debug)]
struct Tree {
    target: Target,
    vitals: watch::Sender<Vitals>,
    /// Processor time at the look before.
    used: Option<Duration>,
}

/// At most as many as there are workers.
#[derive(Debug, Default)]
pub(super) struct Watched(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    trees: Vec<Tree>,
    /// A task looks at them.
    is_looked_at: bool,
}

impl Sampler {
    /// Watches a tree. To be called within a tokio runtime.
    pub fn watch(&self, target: Target) -> Watch {
        let (vitals, receiver) = watch::channel(Vitals::default());
        let mut state = self.watched.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.trees.push(Tree { target, vitals, used: None });
        if !state.is_looked_at {
            state.is_looked_at = true;
            tokio::spawn(look_again_and_again(Arc::clone(&self.watched.0)));
        }
        Watch { vitals: receiver }
    }
}

async fn look_again_and_again(state: Arc<Mutex<State>>) {
    /// Often enough to see what uses too much before it has used much more.
    const PERIOD: Duration = Duration::from_millis(250);
    /// Of the cost of a look, so that looking takes less than half a percent of a processor.
    const COSTS: u32 = 250;

    /// On a machine where a look takes longer than ten milliseconds, seeing what goes wrong matters more.
    const LONGEST: Duration = Duration::from_secs(2);

    let mut pause = PERIOD;
    let mut last = Instant::now();
    loop {
        tokio::time::sleep(pause).await;
        let looked = Arc::clone(&state);
        let begin = Instant::now();
        let elapsed = begin.duration_since(last);
        last = begin;
        let look = tokio::task::spawn_blocking(move || {
            let before = worked();
            look(&looked, elapsed).then(|| worked().saturating_sub(before))
        });
        match look.await {
            Ok(Some(cost)) => pause = (cost * COSTS).clamp(PERIOD, LONGEST),
            // Nothing is watched any more, or the runtime shuts down.
            Ok(None) | Err(_) => return,
        }
    }
}

/// Processor time of this thread: on a busy machine a look takes long and costs no more.
#[cfg(target_os = "linux")]
fn worked() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(not(target_os = "linux"))]
fn worked() -> Duration {
    crate::clock::since_boot()
}

/// The resources that a tree has used, all its processes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    processes: u32,
    memory: u64,
    used: Duration,
}

/// False: there is nothing to look at, and nobody looks any more.
fn look(state: &Mutex<State>, elapsed: Duration) -> bool {
    let wanted: HashSet<Target> = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.trees.retain(|tree| !tree.vitals.is_closed());
        if state.trees.is_empty() {
            state.is_looked_at = false;
            return false;
        }
        state.trees.iter().map(|tree| tree.target).collect()
    };
    #[cfg(target_os = "linux")]
    let seen = by_procfs(&wanted);
    #[cfg(not(target_os = "linux"))]
    let seen = by_sysinfo(&wanted);
    let Some(seen) = seen else { return true };
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    for tree in &mut state.trees {
        let Seen { processes, memory, used } = seen.get(&tree.target).copied().unwrap_or_default();
        // A process that has ended unwaited takes its time along.
        let spent = tree.used.map_or(used, |before| used.saturating_sub(before));
        tree.used = Some(used);
        let cpu_percent = 100.0 * spent.as_secs_f32() / elapsed.as_secs_f32().max(0.001);
        let worked = tree.vitals.borrow().worked + u64::from(cpu_percent > 1.0);
        tree.vitals.send_replace(Vitals { processes, cpu_percent, memory, worked });
    }
    true
}

#[cfg(target_os = "linux")]
fn by_procfs(wanted: &HashSet<Target>) -> Option<HashMap<Target, Seen>> {
    let all: Vec<_> = crate::group::procfs::all()?.collect();
    let page = rustix::param::page_size() as u64;
    let second = rustix::param::clock_ticks_per_second().max(1);
    let mut seen: HashMap<Target, Seen> = HashMap::new();
    for (stat, target) in below(&all, wanted) {
        let of = seen.entry(target).or_default();
        of.processes += 1;
        of.memory += stat.pages * page;
        of.used += Duration::from_millis(stat.ticks * 1000 / second);
    }
    Some(seen)
}

/// Where there is no `/proc`: the leader and what descends from it; what has detached itself isn't seen.
#[cfg(any(test, not(target_os = "linux")))]
fn by_sysinfo(wanted: &HashSet<Target>) -> Option<HashMap<Target, Seen>> {
    use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

    let mut system = System::new().ok()?;
    let kind = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
    let mut children: HashMap<Pid, Vec<Pid>> = HashMap::new();
    for (pid, process) in system.processes() {
        process.parent().into_iter().for_each(|parent| children.entry(parent).or_default().push(*pid));
    }
    let mut seen: HashMap<Target, Seen> = HashMap::new();
    for target in wanted {
        let (Target::Group(leader) | Target::Below(leader)) = *target;
        let mut pending = vec![Pid::from_u32(leader)];
        if matches!(target, Target::Below(_)) {
            pending = children.get(&pending[0]).cloned().unwrap_or_default();
        }
        let of = seen.entry(*target).or_default();
        while let Some(pid) = pending.pop() {
            pending.extend(children.get(&pid).into_iter().flatten());
            let Some(process) = system.process(pid) else { continue };
            of.processes += 1;
            of.memory += process.memory();
            of.used += Duration::from_millis(process.accumulated_cpu_time());
        }
    }
    Some(seen)
}

/// Living processes that descend from wanted ones, and from which.
#[cfg(target_os = "linux")]
pub(super) fn below<'a>(
    all: &'a [crate::group::procfs::Stat],
    wanted: &HashSet<Target>,
) -> Vec<(&'a crate::group::procfs::Stat, Target)> {
    let mut children: HashMap<u32, Vec<&crate::group::procfs::Stat>> = HashMap::new();
    for stat in all {
        children.entry(stat.parent).or_default().push(stat);
    }
    let mut found = Vec::new();
    for target in wanted {
        let Target::Below(root) = target else { continue };
        let mut pending = vec![*root];
        while let Some(pid) = pending.pop() {
            for stat in children.get(&pid).into_iter().flatten() {
                pending.push(stat.pid);
                if stat.alive {
                    found.push((*stat, *target));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn both_ways_of_looking_see_the_same_tree() {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "sleep 60 & read x; kill $!"]).stdin(std::process::Stdio::piped());
        let mut child = shell.spawn().unwrap();
        let wanted = HashSet::from([Target::Below(std::process::id())]);
        let counted =
            |seen: Option<HashMap<Target, Seen>>| seen.unwrap().values().map(|seen| seen.processes).sum::<u32>();
        let begin = Instant::now();
        while counted(by_sysinfo(&wanted)) < 2 || counted(by_procfs(&wanted)) < 2 {
            assert!(begin.elapsed() < Duration::from_secs(20), "the tree was not seen");
            std::thread::yield_now();
        }
        let (one, other) = (by_procfs(&wanted).unwrap(), by_sysinfo(&wanted).unwrap());
        let of = |seen: &HashMap<Target, Seen>| seen.values().next().copied().unwrap();
        assert_eq!(of(&one).processes, of(&other).processes);
        assert!(of(&one).memory.abs_diff(of(&other).memory) < 4 << 20, "{one:?} {other:?}");
        let group = by_sysinfo(&HashSet::from([Target::Group(child.id())])).unwrap();
        assert_eq!(of(&group).processes, 2);
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
