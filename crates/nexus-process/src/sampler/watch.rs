//! Watching trees: one task looks at all of them, a few times a second, and tells each when it was last at work and what
//! it uses. It costs at most a two-hundredth of a processor, and nothing while there is nothing to watch.

#[cfg(target_os = "linux")]
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::{Sample, Sampler, Target};

/// What a watched tree uses at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Vitals {
    pub processes: u32,
    /// Percent of one processor since the look before.
    pub cpu_percent: f32,
    /// Resident memory, in bytes; what processes share counts once for each.
    pub memory: u64,
    /// How often it has been seen at work: that it has used more than a hundredth of a processor since the look before.
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

    /// What the last look saw.
    #[must_use]
    pub fn last(&self) -> Vitals {
        *self.vitals.borrow()
    }

    /// What the next look sees; never, where nothing can be watched.
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
    /// Processor time at the look before, in ticks.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "nothing looks there"))]
    ticks: Option<u64>,
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
        state.trees.push(Tree { target, vitals, ticks: None });
        if !state.is_looked_at {
            state.is_looked_at = true;
            #[cfg(target_os = "linux")]
            tokio::spawn(look_again_and_again(Arc::clone(&self.watched.0)));
        }
        Watch { vitals: receiver }
    }
}

#[cfg(target_os = "linux")]
async fn look_again_and_again(state: Arc<Mutex<State>>) {
    use std::time::{Duration, Instant};

    /// Often enough to see what uses too much before it has used much more.
    const PERIOD: Duration = Duration::from_millis(250);
    /// Of the cost of a look, so that looking takes half a percent of a processor.
    const COSTS: u32 = 200;

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
        let look = tokio::task::spawn_blocking(move || look(&looked, elapsed));
        match look.await {
            Ok(true) => pause = (begin.elapsed() * COSTS).clamp(PERIOD, LONGEST),
            // Nothing is watched any more, or the runtime shuts down.
            Ok(false) | Err(_) => return,
        }
    }
}

/// False: there is nothing to look at, and nobody looks any more.
#[cfg(target_os = "linux")]
fn look(state: &Mutex<State>, elapsed: std::time::Duration) -> bool {
    use crate::group::procfs;

    let wanted: HashSet<Target> = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.trees.retain(|tree| !tree.vitals.is_closed());
        if state.trees.is_empty() {
            state.is_looked_at = false;
            return false;
        }
        state.trees.iter().map(|tree| tree.target).collect()
    };
    let Some(all) = procfs::all() else { return true };
    let all: Vec<procfs::Stat> = all.collect();
    let page = rustix::param::page_size() as u64;
    let mut seen: HashMap<Target, (u32, u64, u64)> = HashMap::new();
    for (stat, target) in below(&all, &wanted) {
        let (processes, memory, ticks) = seen.entry(target).or_default();
        *processes += 1;
        *memory += stat.pages * page;
        *ticks += stat.ticks;
    }
    let all_ticks = elapsed.as_secs_f32() * rustix::param::clock_ticks_per_second() as f32;
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    for tree in &mut state.trees {
        let (processes, memory, ticks) = seen.get(&tree.target).copied().unwrap_or_default();
        // A process that has ended unwaited takes its time along.
        let used = tree.ticks.map_or(ticks, |before| ticks.saturating_sub(before));
        tree.ticks = Some(ticks);
        let cpu_percent = if all_ticks > 0.0 { 100.0 * used as f32 / all_ticks } else { 0.0 };
        let worked = tree.vitals.borrow().worked + u64::from(cpu_percent > 1.0);
        tree.vitals.send_replace(Vitals { processes, cpu_percent, memory, worked });
    }
    true
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
