//! The agents of a department that a task may go to, and the refusal where there is none.
//!
//! An agent that runs commands, as `shell` does, gets no prose: it takes a task that names it, or whose type says that its
//! description is a command. It is nobody's stand-in, whatever else isn't installed, or closed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::agent::AgentSpec;
use crate::department::Department;
use crate::id::{AgentName, DepartmentName};
use crate::refusal::{Refusal, RefusalKind};
use crate::task::COMMAND_TYPE;

/// The specifications of agents by name.
pub type Specs = BTreeMap<AgentName, Arc<AgentSpec>>;

/// The agents of a list that a task of this type may go to which names none, in the list's order.
///
/// A command goes to those that run commands, where there are any; everything else to all others.
#[must_use]
pub fn candidates<'a>(listed: &'a [AgentName], specs: &Specs, task_type: &str) -> Vec<&'a AgentName> {
    let (commands, others): (Vec<_>, Vec<_>) = listed.iter().partition(|agent| runs_commands(agent, specs));
    if task_type == COMMAND_TYPE && !commands.is_empty() { commands } else { others }
}

/// The agent runs commands.
#[must_use]
pub fn runs_commands(agent: &AgentName, specs: &Specs) -> bool {
    specs.get(agent).is_some_and(|spec| spec.runs_commands())
}

/// The refusal of a task that names no agent, where none of its candidates is installed, or there are none.
#[must_use]
pub fn nobody(name: &DepartmentName, department: &Department, specs: &Specs, task_type: &str) -> Refusal {
    let candidates = candidates(&department.agents, specs, task_type);
    let commands = department.agents.iter().find(|agent| runs_commands(agent, specs));
    let are_coding = candidates.iter().all(|agent| specs.get(*agent).is_some_and(|spec| spec.kind.is_model()));
    let names = candidates.iter().map(|agent| agent.as_str()).collect::<Vec<_>>().join(", ");
    let why = match candidates[..] {
        [] => format!("the department {name} lists no coding agent"),
        _ if are_coding => "no coding agent is installed".to_owned(),
        [one] => format!("the agent {one} of the department {name} is not installed"),
        _ => format!("none of the agents of the department {name} is installed ({names})"),
    };
    let doctor = if candidates.is_empty() {
        format!("add one to `agents` in departments/{name}.toml; nexus doctor says how to get one")
    } else {
        "nexus doctor says how to get one".to_owned()
    };
    match commands {
        Some(shell) if task_type != COMMAND_TYPE => {
            Refusal::new(RefusalKind::NoAgent, format!("{why}, and \"{shell}\" runs commands, not prose"))
                .with_help(format!("{doctor}; for a command: --agent {shell}"))
        }
        _ => Refusal::new(RefusalKind::NoAgent, why).with_help(doctor),
    }
}

/// The refusal of a task that names an agent which isn't installed.
#[must_use]
pub fn not_installed(agent: &AgentName, get: &str) -> Refusal {
    Refusal::new(RefusalKind::NoAgent, format!("the agent {agent} is not installed")).with_help(get)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{AgentKind, PromptVia};

    fn specs() -> Specs {
        let command = |words: &[&str]| AgentSpec {
            command: words.iter().map(|word| (*word).to_owned()).collect(),
            ..AgentSpec::of(AgentKind::Command)
        };
        let all = [
            ("claude", AgentSpec::of(AgentKind::Claude)),
            ("codex", AgentSpec::of(AgentKind::Codex)),
            ("shell", AgentSpec::shell()),
            ("build", AgentSpec { prompt: PromptVia::None, ..command(&["make"]) }),
            ("writer", command(&["my-writer"])),
            ("far", AgentSpec { commands: Some(true), ..command(&["ssh", "far"]) }),
            ("tame", AgentSpec { commands: Some(false), ..AgentSpec::shell() }),
            ("odd", AgentSpec { commands: Some(true), ..AgentSpec::of(AgentKind::Claude) }),
        ];
        all.map(|(name, spec)| (AgentName::new(name).unwrap(), Arc::new(spec))).into()
    }

    fn listed(names: &str) -> Vec<AgentName> {
        names.split_whitespace().map(|name| AgentName::new(name).unwrap()).collect()
    }

    #[test]
    fn prose_never_goes_to_an_agent_that_runs_commands() {
        let check = |names: &str, task_type: &str, expected: &str| {
            let (listed, specs) = (listed(names), specs());
            let said: Vec<_> = candidates(&listed, &specs, task_type).iter().map(|agent| agent.as_str()).collect();
            assert_eq!(said.join(" "), expected, "{names}, {task_type}");
        };
        check("claude codex shell", "bug_fix", "claude codex");
        check("shell claude", "bug_fix", "claude");
        check("shell", "bug_fix", "");
        check("far shell", "bug_fix", "");
        check("build", "bug_fix", "build");
        check("writer tame odd", "bug_fix", "writer tame odd");
        check("claude shell far", "command", "shell far");
        check("claude build", "command", "claude build");
    }

    #[test]
    fn the_refusal_says_what_is_missing_and_the_way_out() {
        let check = |names: &str, task_type: &str, expected: &str| {
            let name = DepartmentName::new("docs").unwrap();
            let department = Department { agents: listed(names), ..Department::default() };
            let refusal = nobody(&name, &department, &specs(), task_type);
            assert_eq!(refusal.kind, RefusalKind::NoAgent);
            assert_eq!(format!("{refusal}; {}", refusal.help.clone().unwrap()), expected);
        };
        let doctor = "nexus doctor says how to get one";
        check(
            "claude codex shell",
            "bug_fix",
            &format!(
                "no coding agent is installed, and \"shell\" runs commands, not prose; {doctor}; for a command: --agent shell"
            ),
        );
        check(
            "shell",
            "bug_fix",
            &format!(
                "the department docs lists no coding agent, and \"shell\" runs commands, not prose; \
                 add one to `agents` in departments/docs.toml; {doctor}; for a command: --agent shell"
            ),
        );
        check("claude codex", "bug_fix", &format!("no coding agent is installed; {doctor}"));
        check("writer", "bug_fix", &format!("the agent writer of the department docs is not installed; {doctor}"));
        check(
            "writer claude",
            "command",
            &format!("none of the agents of the department docs is installed (writer, claude); {doctor}"),
        );
    }
}
