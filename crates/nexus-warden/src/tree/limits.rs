//! Limits that a process puts on itself before it is the program.

use std::io;

use rustix::process::{Resource, Rlimit};

use crate::protocol::Limits;

/// Limits that hold for each process.
pub(super) fn limit(limits: &Limits) -> io::Result<()> {
    let set = |resource, value: Option<u64>| -> io::Result<()> {
        let Some(value) = value else { return Ok(()) };
        let hard = rustix::process::getrlimit(resource).maximum;
        let value = Some(hard.map_or(value, |hard| hard.min(value)));
        Ok(rustix::process::setrlimit(resource, Rlimit { current: value, maximum: value })?)
    };
    if limits.memory.is_some() {
        // Among those that use it up together with the warden, the warden is the last to be ended.
        let _ = std::fs::write("/proc/self/oom_score_adj", "500");
    }
    if let Some(milli) = limits.cpu_milli {
        keep_to(milli.div_ceil(1000))?;
    }
    set(Resource::Nofile, limits.open_files)?;
    set(Resource::Fsize, limits.file_size)
}

/// Keeps to so many of the processors that there are.
fn keep_to(count: u32) -> io::Result<()> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let all = sched_getaffinity(None)?;
    let mut few = CpuSet::new();
    (0..CpuSet::MAX_CPU)
        .filter(|cpu| all.is_set(*cpu))
        .take(usize::try_from(count).unwrap_or(usize::MAX))
        .for_each(|cpu| few.set(cpu));
    Ok(sched_setaffinity(None, &few)?)
}
