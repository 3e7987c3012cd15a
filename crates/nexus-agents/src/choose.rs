//! Which agent gets a task: the one asked for, else the department's first that can be used.

use std::path::PathBuf;

use nexus_core::agent::AgentSpec;
use nexus_core::id::AgentName;

use crate::adapter::{Adapter, adapter};

/// The preferred agent, else the first of the department's that `usable` says yes to, else its first.
///
/// The last is deliberate: an attempt that fails with "claude was not found" says more than a task that waits for ever.
pub fn choose<'a>(
    preferred: Option<&'a AgentName>,
    agents: &'a [AgentName],
    usable: impl Fn(&AgentName) -> bool,
) -> Option<&'a AgentName> {
    preferred.or_else(|| agents.iter().find(|agent| usable(agent))).or_else(|| agents.first())
}

/// True when the agent's program can be found and run on this machine.
#[must_use]
pub fn is_installed(spec: &AgentSpec) -> bool {
    program(spec).and_then(find).is_some()
}

/// Where a program is, by `PATH`.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    which::which(program).ok()
}

/// The program of an agent: its own, or its kind's.
#[must_use]
pub fn program(spec: &AgentSpec) -> Option<&str> {
    let kind = || adapter(spec.kind).map(Adapter::program);
    spec.command.first().map(String::as_str).or_else(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asked_for_then_usable_then_first() {
        let name = |text: &str| AgentName::new(text).unwrap();
        let agents = [name("claude"), name("shell")];
        assert_eq!(choose(Some(&agents[0]), &agents, |_| false), Some(&agents[0]));
        assert_eq!(choose(None, &agents, |agent| agent.as_str() == "shell"), Some(&agents[1]));
        assert_eq!(choose(None, &agents, |_| false), Some(&agents[0]));
        assert_eq!(choose(None, &[], |_| true), None);
    }

    #[test]
    fn installed_means_a_program_that_is_there() {
        assert!(is_installed(&AgentSpec::shell()));
        let absent = AgentSpec { command: vec!["no-such-program-anywhere".to_owned()], ..AgentSpec::shell() };
        assert!(!is_installed(&absent));
    }
}
