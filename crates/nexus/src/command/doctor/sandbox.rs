//! The part of `nexus doctor` about sandboxes: this machine's means to limit and confine agents as the departments demand.

use std::path::Path;
use std::sync::Arc;

use nexus_core::company::Company;
use nexus_core::department::{Department, SandboxLevel};
use nexus_core::protect::Means;

use super::Level;

pub(super) async fn protection(company: &Company, data_dir: &Path, say: &mut impl FnMut(Level, &'static str, String)) {
    let means = nexus_runtime::means();
    match (&means.namespaces, means.tier()) {
        (None, _) => say(Level::Ok, "sandbox", "agents can be confined in namespaces of their own".to_owned()),
        (Some(why), Ok(_)) => {
            say(Level::Warn, "sandbox", format!("agents can be confined by Landlock and seccomp alone: {why}"));
        }
        (_, Err(why)) => say(Level::Warn, "sandbox", format!("agents can't be confined on this machine: {why}")),
    }
    say(Level::Ok, "limits", held(&means));
    let in_containers = |department: &Arc<Department>| department.sandbox.level == Some(SandboxLevel::Container);
    if company.departments.values().any(in_containers) {
        match nexus_runtime::container_engine().await {
            Ok(version) => say(Level::Ok, "containers", format!("engine {version}")),
            Err(why) => say(Level::Fail, "containers", why),
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = data_dir;
    #[cfg(target_os = "linux")]
    if means.tier().is_ok() {
        programs(data_dir, say);
    }
    for (name, department) in &company.departments {
        match means.plan(&department.sandbox, &department.limits) {
            Err(why) => say(Level::Fail, "sandbox", format!("tasks of {name} are refused: {why}")),
            Ok(plan) if plan.sandbox.is_none() => {
                say(Level::Warn, "sandbox", format!("agents of {name} run unconfined: they reach what you can reach"));
            }
            Ok(_) => {}
        }
    }
}

/// Programs that this many are named of; more would hide what else is said.
#[cfg(target_os = "linux")]
const NAMED: usize = 5;

/// Programs on the `PATH` that a confined agent can't run, though whoever runs the company can.
#[cfg(target_os = "linux")]
fn programs(data_dir: &Path, say: &mut impl FnMut(Level, &'static str, String)) {
    let unreachable = nexus_runtime::unreachable_programs(data_dir);
    if unreachable.is_empty() {
        return;
    }
    let mut names: Vec<String> = unreachable.iter().take(NAMED).map(|path| path.display().to_string()).collect();
    if unreachable.len() > NAMED {
        names.push(format!("{} more", unreachable.len() - NAMED));
    }
    let message = format!(
        "confined agents can't run these programs on your PATH: {}; name the directories that they need in sandbox.read",
        names.join(", ")
    );
    say(Level::Warn, "programs", message);
}

fn held(means: &Means) -> String {
    let all = [("memory", means.memory), ("processes", means.processes), ("cpu", means.cpu)];
    let names = |held: bool| {
        let names: Vec<&str> = all.iter().filter(|(_, by_group)| *by_group == held).map(|(name, _)| *name).collect();
        names.join(", ")
    };
    match (names(true), names(false)) {
        (groups, looking) if looking.is_empty() => format!("control groups hold {groups}"),
        (groups, _) if groups.is_empty() => {
            "this user may use no control groups: memory and processes are held by looking a few times a second, cpu by \
             keeping to few processors"
                .to_owned()
        }
        (groups, looking) => format!("control groups hold {groups}; looking a few times a second holds {looking}"),
    }
}
