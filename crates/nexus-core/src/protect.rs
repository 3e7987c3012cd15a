//! The protection of an attempt, decided: the limits and the sandbox that its department demands meet what the
//! machine can do. What can't be done is refused, never left out.

use crate::agent::AgentKind;
use crate::department::{Limits, LimitsTier, Network, Sandbox, SandboxLevel, SandboxTier};

#[cfg(test)]
mod tests;

/// The abilities of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Means {
    /// Confinement by namespaces; else why not.
    pub namespaces: Option<String>,
    /// Confinement by Landlock and seccomp; else why not.
    pub landlock: Option<String>,
    /// A network of its own for a confined agent, in the strongest tier that there is.
    pub network: bool,
    /// An overlay can be mounted without a namespace of users, in which a program would lose rights of its user.
    pub trusted_overlays: bool,
    /// Which of the limits control groups hold.
    pub memory: bool,
    pub processes: bool,
    pub cpu: bool,
}

/// The confinement and the limits of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// None: not confined.
    pub sandbox: Option<SandboxTier>,
    /// By what memory, processes and cpu are held that are limited.
    pub limits: LimitsTier,
    /// [`Means::trusted_overlays`].
    pub trusted_overlays: bool,
}

impl Plan {
    /// Layers can be mounted for an attempt of this kind of agent, if the machine has overlays at all. They are seen by the
    /// attempt's processes alone: not by the company, which reads and writes files for agents that speak ACP, nor in a container,
    /// which has mounts of its own. What isn't confined is to keep its user's rights.
    #[must_use]
    pub fn mounts_layers(self, kind: AgentKind) -> bool {
        match (self.sandbox, kind) {
            (Some(SandboxTier::Container), _) | (_, AgentKind::Acp) => false,
            (Some(SandboxTier::Namespaces | SandboxTier::Landlock), _) => true,
            (None, _) => self.trusted_overlays,
        }
    }
}

impl Means {
    /// The strongest confinement there is, or why there is none.
    ///
    /// # Errors
    /// Why there is none.
    pub fn tier(&self) -> Result<SandboxTier, String> {
        match (&self.namespaces, &self.landlock) {
            (None, _) => Ok(SandboxTier::Namespaces),
            (Some(_), None) => Ok(SandboxTier::Landlock),
            (Some(namespaces), Some(landlock)) => Err(format!("{namespaces}; {landlock}")),
        }
    }

    /// The department's sandbox on this machine: none is what it gets where nothing was asked for and nothing can be had.
    ///
    /// # Errors
    /// The demand that the machine can't meet, as a sentence that names the setting.
    pub fn plan(&self, sandbox: &Sandbox, limits: &Limits) -> Result<Plan, String> {
        let confined =
            match sandbox.level {
                Some(SandboxLevel::None) => None,
                // Whether there is an engine is found out when it is asked; it holds all limits by control groups.
                Some(SandboxLevel::Container) => {
                    return Ok(self.planned(Some(SandboxTier::Container), LimitsTier::Cgroup));
                }
                Some(SandboxLevel::Confined) => Some(self.tier().map_err(|why| {
                    format!("this machine can't confine agents (sandbox.level = \"confined\"): {why}")
                })?),
                None if sandbox.minimum.is_some() || sandbox.network != Network::Full => {
                    Some(self.tier().map_err(|why| {
                        format!("this machine can't confine agents (sandbox.minimum, sandbox.network): {why}")
                    })?)
                }
                None => self.tier().ok(),
            };
        if let (Some(tier), Some(minimum)) = (confined, sandbox.minimum)
            && tier < minimum
        {
            let why = self.namespaces.as_deref().unwrap_or("that takes sandbox.level = \"container\"");
            let minimum = minimum.as_str();
            return Err(format!("this machine can't confine agents so far (sandbox.minimum = \"{minimum}\"): {why}"));
        }
        if confined.is_some() && matches!(sandbox.network, Network::Agent | Network::Hosts(_)) && !self.network {
            return Err("this machine can't give an agent a network of its own, which sandbox.network needs: allow \
                        its user to make namespaces (`nexus doctor` says how), or use \"none\" or \"full\""
                .to_owned());
        }
        let held = [
            ("limits.memory", limits.memory.is_some(), self.memory),
            ("limits.processes", limits.processes.is_some(), self.processes),
            ("limits.cpu", limits.cpu.is_some(), self.cpu),
        ];
        let open = held.into_iter().find(|(_, is_set, is_held)| *is_set && !is_held);
        match (open, limits.minimum) {
            (Some((name, ..)), Some(LimitsTier::Cgroup)) => Err(format!(
                "this machine has no control group that this user may use for {name} (limits.minimum = \"cgroup\")"
            )),
            (Some(_), _) => Ok(self.planned(confined, LimitsTier::Sampled)),
            (None, _) => Ok(self.planned(confined, LimitsTier::Cgroup)),
        }
    }
    const fn planned(&self, sandbox: Option<SandboxTier>, limits: LimitsTier) -> Plan {
        Plan { sandbox, limits, trusted_overlays: self.trusted_overlays }
    }
}
