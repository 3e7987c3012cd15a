//! Whether this machine can limit and confine agents as the departments demand.

use std::sync::Arc;

use nexus_core::company::Company;
use nexus_core::department::{Department, SandboxLevel};
use nexus_core::protect::Means;

use super::Level;

pub(super) async fn protection(company: &Company, say: &mut impl FnMut(Level, &'static str, String)) {
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
