//! The agents: which there are, whether each can work, and opening an account by hand.

use std::sync::Arc;

use jiff::Timestamp;
use nexus_core::account::AccountState;
use nexus_core::agent::AgentSpec;
use nexus_core::api::{AgentInfo, AgentState, Agents};
use nexus_core::id::AgentName;
use nexus_core::refusal::Refusal;
use nexus_core::route;

use super::CeoState;

impl CeoState {
    pub(super) fn agents(&self) -> Agents {
        let now = Timestamp::now();
        Agents { agents: self.company.agents.iter().map(|(name, spec)| self.agent(name, spec, now)).collect() }
    }

    /// Opens the account of an agent, or the account of that name.
    pub(super) fn clear(&self, agent: &str) -> Result<AgentInfo, Refusal> {
        let agents = &self.company.agents;
        let named = agents.iter().find(|(name, _)| name.as_str() == agent);
        let sharing = || agents.iter().find(|(name, spec)| spec.account_of(name).as_str() == agent);
        let Some((name, spec)) = named.or_else(sharing) else {
            return Err(route::agent(&self.company, agent).err().unwrap_or_else(|| Refusal::not_found(agent)));
        };
        let now = Timestamp::now();
        self.node.accounts.clear(&spec.account_of(name), now);
        Ok(self.agent(name, spec, now))
    }

    fn agent(&self, name: &AgentName, spec: &Arc<AgentSpec>, now: Timestamp) -> AgentInfo {
        let account = spec.account_of(name);
        let listing = self.company.departments.iter().filter(|(_, policy)| policy.agents.contains(name));
        let record = self.node.accounts.get(&account).filter(|record| record.closed_until(now).is_some());
        let (state, reason) = match record.as_ref().map(|record| &record.state) {
            Some(AccountState::Limited { reason, .. }) => (AgentState::Limited, Some(reason.clone())),
            Some(AccountState::Unhealthy { reason, .. }) => (AgentState::Unhealthy, Some(reason.clone())),
            Some(AccountState::Open) | None => (AgentState::Open, None),
        };
        AgentInfo {
            name: name.clone(),
            kind: spec.kind,
            account,
            departments: listing.map(|(department, _)| department.clone()).collect(),
            installed: nexus_agents::is_installed(spec),
            state,
            until: record.as_ref().and_then(|record| record.closed_until(now)),
            since: record.map(|record| record.at),
            reason,
            spent_today: self.node.purses.spent_by(name, now),
        }
    }
}
