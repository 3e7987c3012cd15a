//! Shared by all actors of one machine: its identity, its connections, and the board of its workers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;
use nexus_bus::Bus;
use nexus_core::agent::AgentSpec;
use nexus_core::assign::candidates;
use nexus_core::company::Company;
use nexus_core::department::Department;
use nexus_core::id::{AgentName, DepartmentName, NodeId};
use nexus_core::lease::{Holder, Terms};
use nexus_core::overview::ProcessInfo;
use nexus_process::Sampler;
use nexus_workspace::Workspaces;
use tokio_util::sync::CancellationToken;

use crate::accounts::Accounts;
use crate::backlog::{Backlog, Fill};
use crate::board::Board;
use crate::ceo::reign::Reigns;
use crate::engine::Engines;
use crate::gate::Roster;
use crate::historian::Historian;
use crate::projects::Projects;
use crate::protector::Protector;
use crate::purse::Purses;
use crate::reception::Receptionist;
use crate::staff_book::StaffBook;
use crate::tenure::Tenure;
use crate::trees::Trees;

/// Shared by the actors of a node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) bus: Bus,
    pub(crate) historian: Historian,
    pub(crate) backlog: Backlog,
    pub(crate) fill: Fill,
    pub(crate) projects: Projects,
    pub(crate) trees: Trees,
    pub(crate) board: Board,
    pub(crate) staff: StaffBook,
    pub(crate) accounts: Accounts,
    pub(crate) purses: Arc<Purses>,
    pub(crate) roster: Roster,
    pub(crate) workspaces: Workspaces,
    /// Where prompts are put that an agent wants as a file.
    pub(crate) prompts: PathBuf,
    pub(crate) sampler: Arc<Sampler>,
    pub(crate) protector: Protector,
    pub(crate) engines: Engines,
    /// All departments of the company, as agents are told of them.
    pub(crate) directory: ArcSwap<BTreeMap<DepartmentName, Arc<Department>>>,
    /// Who answers at its agents' doors.
    pub(crate) receptionist: Option<Arc<dyn Receptionist>>,
    /// Its company's name when it started.
    pub(crate) company: String,
    /// This run of the node, as its leases name it.
    pub(crate) holder: Holder,
    pub(crate) terms: Terms,
    /// Nobody else can reach the broker: there is no other node that could take anything over.
    pub(crate) alone: bool,
    pub(crate) tenure: Tenure,
    pub(crate) reigns: Reigns,
    /// Cancelled when a stop has taken too long: whatever still waits for the broker is left to the next start.
    pub(crate) give_up: CancellationToken,
    /// Tasks that went back to the queue because the company stops.
    pub(crate) put_back: AtomicU64,
    pub(crate) version: String,
    /// The process that it runs in, as people are told of it.
    pub(crate) process: ProcessInfo,
    /// Orders that break things on purpose are obeyed. Tests only.
    pub(crate) faults: bool,
}

/// A department as configured, with the agents it can use.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Charter {
    pub(crate) name: DepartmentName,
    pub(crate) policy: Arc<Department>,
    pub(crate) agents: BTreeMap<AgentName, Arc<AgentSpec>>,
}

impl Charter {
    /// A number that changes when the charter does, as a restarted company can tell.
    pub(crate) fn fingerprint(&self) -> uuid::Uuid {
        nexus_core::staff::fingerprint(&self.policy, &self.agents)
    }

    /// The agents that a task of this type may go to which names none, in the department's order.
    pub(crate) fn candidates(&self, task_type: &str) -> Vec<&AgentName> {
        candidates(&self.policy.agents, &self.agents, task_type)
    }

    /// The charters of a company's departments.
    pub(crate) fn all(company: &Company) -> BTreeMap<DepartmentName, Self> {
        let charter = |(name, policy): (&DepartmentName, &Arc<Department>)| {
            let listed = |(agent, _): &(&AgentName, &Arc<AgentSpec>)| policy.agents.contains(agent);
            let variable = |name: &str| std::env::var(name).ok();
            let whole = |spec: &AgentSpec| Arc::new(nexus_agents::complete(spec, &variable));
            let agents = company.agents.iter().filter(listed).map(|(name, spec)| (name.clone(), whole(spec)));
            let charter = Self { name: name.clone(), policy: Arc::clone(policy), agents: agents.collect() };
            (name.clone(), charter)
        };
        company.departments.iter().map(charter).collect()
    }
}
