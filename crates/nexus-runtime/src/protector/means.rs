//! The means of a machine to limit and confine agents, and their names in a result.

#[cfg(target_os = "linux")]
use std::path::{Path, PathBuf};

use nexus_core::department::{Department, LimitsTier, Network, SandboxTier};
use nexus_core::event::Protection;
use nexus_core::protect::{Means, Plan};

/// The means of this machine, for whoever asks without running a company.
#[cfg(target_os = "linux")]
#[must_use]
pub fn means() -> Means {
    use nexus_process::Groups;
    use nexus_process::confinement::probe;
    let groups = Groups::probe(&format!("nexus-look-{}", std::process::id()));
    let means = of(&groups, &probe(&std::env::var_os("PATH").unwrap_or_default()));
    groups.remove_whole();
    means
}

/// Programs on the `PATH` that run outside of a sandbox and can't be run in one.
#[cfg(target_os = "linux")]
#[must_use]
pub fn unreachable_programs(data_dir: &Path) -> Vec<PathBuf> {
    use nexus_process::confinement::{Programs, System};
    let path = std::env::var_os("PATH").unwrap_or_default();
    let home = std::env::home_dir().and_then(|home| home.canonicalize().ok());
    Programs { system: &System::look(), home: home.as_deref(), apart: &[data_dir], writable: &[], path: &path }
        .unreachable()
}

#[cfg(target_os = "linux")]
pub(super) fn of(groups: &nexus_process::Groups, available: &nexus_process::confinement::Available) -> Means {
    Means {
        namespaces: available.namespaces().err(),
        landlock: available.landlock.as_ref().err().cloned(),
        network: available.namespaces().is_ok() || available.clone_flags != 0,
        trusted_overlays: nexus_process::overlay::renames_directories(),
        memory: groups.memory.is_some(),
        processes: groups.pids.is_some(),
        cpu: groups.cpu.is_some(),
    }
}

/// The means of other systems: no confinement; limits by a job object on Windows, else by looking.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn means() -> Means {
    let none = || Some("only Linux can confine agents; elsewhere use sandbox.level = \"container\"".to_owned());
    let has_jobs = cfg!(windows);
    let (memory, processes, cpu) = (has_jobs, has_jobs, has_jobs);
    Means { namespaces: none(), landlock: none(), network: false, trusted_overlays: false, memory, processes, cpu }
}

pub(super) fn describe(plan: Plan, policy: &Department, has_init: bool, kills_at_once: bool) -> Protection {
    let limits = &policy.limits;
    let is_limited = limits.memory.is_some() || limits.processes.is_some() || limits.cpu.is_some();
    let sandbox = match plan.sandbox {
        None => "none",
        Some(tier) => tier.as_str(),
    };
    let limits = match plan.limits {
        _ if !is_limited => "none",
        LimitsTier::Cgroup if cfg!(windows) => "job",
        tier => tier.as_str(),
    };
    let tree = match plan.sandbox {
        Some(SandboxTier::Container) => "container",
        Some(SandboxTier::Namespaces) => "pid_namespace",
        Some(SandboxTier::Landlock) if has_init => "pid_namespace",
        _ if cfg!(windows) => "job",
        _ if cfg!(not(target_os = "linux")) => "group",
        _ if kills_at_once => "cgroup",
        _ => "descendants",
    };
    let network = match &policy.sandbox.network {
        Network::Full => "full",
        Network::None => "none",
        Network::Agent | Network::Hosts(_) => "proxy",
    };
    let [sandbox, limits, tree, network] = [sandbox, limits, tree, network].map(str::to_owned);
    Protection { sandbox, limits, tree, network }
}
