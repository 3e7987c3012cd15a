//! The gate of a department: its agents' accounts, and the budgets of today.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nexus_agents::{Closed, Standing};
use nexus_bus::Claim;
use nexus_core::account::{Way, follow};
use nexus_core::attempt::Conclusion;
use nexus_core::department::SandboxLevel;
use nexus_core::id::{AgentName, DepartmentName, TaskId};

use crate::node::{Charter, Node};

/// The charters of all departments, as they are now.
pub(crate) type Roster = Arc<arc_swap::ArcSwap<BTreeMap<DepartmentName, Arc<Charter>>>>;

/// The longest wait of an attempt's end for its account's state to get to the ledger: another node, which might take up the task,
/// has heard of it then. A broker that is away isn't waited for.
const HEARD: Duration = Duration::from_secs(1);

/// Why a department takes no work at the moment, and until when.
pub(crate) fn gate(node: &Node, charter: &Charter, now: Timestamp) -> Option<Closed> {
    let budget = node.purses.closed(&charter.name, now);
    let accounts = || nexus_agents::closed(&charter.policy.agents, |agent| stands(node, charter, agent, now));
    let accounts = if node.accounts.any_closed(now) { accounts() } else { None };
    match (budget, accounts) {
        (Some(one), Some(other)) => {
            Some(Closed { until: one.until.max(other.until), why: format!("{}; {}", one.why, other.why) })
        }
        (one, other) => one.or(other),
    }
}

/// Why a task waits in a department; `is_due`: it could be taken.
pub(crate) fn waits(node: &Node, department: &DepartmentName, task: TaskId, is_due: bool) -> Option<String> {
    match node.roster.load().get(department).cloned() {
        Some(charter) if is_due => Some(gate(node, &charter, Timestamp::now())?.why),
        Some(_) => None,
        None => {
            let ways = format!("put its file back, nexus move {task} --department X, or nexus cancel {task}");
            Some(format!("there is no department \"{department}\" now: {ways}"))
        }
    }
}

/// The state of an agent of a department.
pub(crate) fn stands(node: &Node, charter: &Charter, agent: &AgentName, now: Timestamp) -> Standing {
    let Some(spec) = charter.agents.get(agent) else { return Standing::default() };
    Standing { installed: is_installed(charter, agent), closed: node.accounts.closed(agent, spec, now) }
}

/// The program of a department's agent is there.
pub(crate) fn is_installed(charter: &Charter, agent: &AgentName) -> bool {
    // What an image holds is seen when it runs.
    let in_images = charter.policy.sandbox.level == Some(SandboxLevel::Container);
    charter.agents.get(agent).is_some_and(|spec| in_images || nexus_agents::is_installed(spec))
}

/// The agents that this machine has, of those that its departments list.
pub(crate) fn installed(roster: &Roster) -> Vec<AgentName> {
    let charters = roster.load();
    let listed = charters.values().flat_map(|charter| charter.policy.agents.iter().map(move |agent| (charter, agent)));
    let there = listed.filter(|(charter, agent)| is_installed(charter, agent)).map(|(_, agent)| agent.clone());
    there.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The conclusion of an attempt whose agent's account doesn't let it go on; that is remembered. Every other end is left as it is.
pub(crate) async fn settle(node: &Node, claim: &Claim, conclusion: Conclusion) -> Conclusion {
    let Conclusion::Blocked(trouble) = conclusion else { return conclusion };
    let now = Timestamp::now();
    let (agent, task) = (&claim.agent, &claim.entry.task);
    let charter = node.roster.load().get(&task.department).cloned();
    let spec = charter.as_ref().and_then(|charter| charter.agents.get(agent));
    let account = spec.map_or_else(|| agent.clone(), |spec| spec.account_of(agent));
    // Looked at before this attempt adds to it.
    let known = node.accounts.get(&account).is_some_and(|record| record.closed_until(now).is_some());
    node.accounts.trouble(&account, &trouble, now);
    if !node.alone {
        let _ = tokio::time::timeout(HEARD, node.accounts.written()).await;
    }
    let preferred = task.preferred_agent.as_ref() == Some(agent);
    let can = |charter: &Arc<Charter>, other: &AgentName| {
        let Standing { installed, closed } = stands(node, charter, other, now);
        other != agent && installed && closed.is_none()
    };
    let others = charter
        .as_ref()
        .is_some_and(|charter| charter.candidates(&task.task_type).into_iter().any(|other| can(charter, other)));
    let opens = node.accounts.get(&account).and_then(|record| record.closed_until(now)).unwrap_or(now);
    follow(agent, &trouble, Way { others: others && !preferred, preferred, opens, known }, now)
}
