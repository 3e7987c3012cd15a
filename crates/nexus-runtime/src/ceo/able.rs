//! Whether any agent can do a task that is asked for: what none ever could is refused, and doesn't wait.

use std::sync::Arc;

use nexus_agents::Adapter;
use nexus_bus::BusError;
use nexus_core::assign::{nobody, not_installed};
use nexus_core::company::Company;
use nexus_core::id::{AgentName, DepartmentName};
use nexus_core::refusal::Refusal;

use crate::gate::is_installed;
use crate::node::{Charter, Node};

/// Refuses a task whose agent, or each that it could go to, is installed on no node.
pub(super) async fn check(
    node: &Node,
    company: &Company,
    department: &DepartmentName,
    preferred: Option<&AgentName>,
    task_type: &str,
) -> Result<(), Refusal> {
    let Some(charter) = node.roster.load().get(department).map(Arc::clone) else { return Ok(()) };
    let wanted = preferred.map_or_else(|| charter.candidates(task_type), |agent| vec![agent]);
    if wanted.iter().any(|agent| is_installed(&charter, agent)) || others_have(node, &wanted).await? {
        return Ok(());
    }
    Err(match preferred {
        Some(agent) => not_installed(agent, &way_to_get(&charter, agent)),
        None => nobody(department, &charter.policy, &company.agents, task_type),
    })
}

/// Another node says that it has one of these, or is of a version that doesn't say.
async fn others_have(node: &Node, wanted: &[&AgentName]) -> Result<bool, BusError> {
    if node.alone {
        return Ok(false);
    }
    let has = |agents: &[AgentName]| wanted.iter().any(|agent| agents.contains(agent));
    let mut others = node.bus.nodes().await?.into_iter().filter(|(name, _)| *name != node.id);
    Ok(others.any(|(_, state)| state.holder.is_some_and(|other| other.agents.is_none_or(|agents| has(&agents)))))
}

fn way_to_get(charter: &Charter, agent: &AgentName) -> String {
    let Some(spec) = charter.agents.get(agent) else { return String::new() };
    match nexus_agents::adapter(spec.kind).map(Adapter::install) {
        Some(install) if spec.command.is_empty() => format!("to get it: {install}"),
        _ => {
            let program = nexus_agents::program(spec).unwrap_or(agent.as_str());
            format!(
                "install `{program}`, put it on PATH, or name it by its full path in [agents.{agent}] of nexus.toml"
            )
        }
    }
}
