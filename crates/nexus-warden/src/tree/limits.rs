//! Limits that a process puts on itself before it is the program.

use std::io;

use rustix::process::{Resource, Rlimit};

use crate::protocol::Limits;

/// Tasks, which threads are too, for each process that a tree may have: how many it is allowed is judged by looking, which takes its
/// time. Meanwhile it can fork no more than these.
const TASKS_EACH: u64 = 4;

/// Limits that hold for each process. `has_own_users`: it is in a user namespace of its own.
pub(super) fn limit(limits: &Limits, has_own_users: bool) -> io::Result<()> {
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
    if has_own_users && counts_apart() {
        set(Resource::Nproc, limits.processes.map(|processes| u64::from(processes) * TASKS_EACH))?;
    }
    set(Resource::Nofile, limits.open_files)?;
    set(Resource::Fsize, limits.file_size)
}

/// True if the kernel counts a user's processes in each user namespace, as it does from 5.14 on: before, all of that user's count.
fn counts_apart() -> bool {
    is_since(&std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default(), (5, 14))
}

/// True for the release of a kernel, such as `6.1.0-21-amd64`, that is this version or a later one.
fn is_since(release: &str, version: (u32, u32)) -> bool {
    let mut numbers = release.split(|char: char| !char.is_ascii_digit()).map_while(|number| number.parse().ok());
    matches!((numbers.next(), numbers.next()), (Some(major), Some(minor)) if (major, minor) >= version)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_s_release_is_compared_by_its_numbers() {
        for (release, expected) in [
            ("5.14.0", true),
            ("6.1.0-21-amd64", true),
            ("10.0-rc1", true),
            ("5.4.0-200", false),
            ("4.19", false),
            ("", false),
        ] {
            assert_eq!(is_since(release, (5, 14)), expected, "{release}");
        }
    }
}
