//! The part of `nexus doctor` about agents: those that departments list, whether they are there, and whether they look signed in.

use nexus_core::agent::AgentKind;
use nexus_core::api::Agents;
use nexus_core::company::Company;
use nexus_core::id::DepartmentName;
use nexus_runtime::Seen;

use super::{Finding, Level};

/// A finding an agent, and one a department that has none to work with. `found`: the agents as the company that is up finds
/// them; `all`: of agents too that nobody lists.
pub(super) async fn agents(company: &Company, found: Option<&Agents>, all: bool) -> Vec<Finding> {
    let seen = nexus_runtime::survey(company).await;
    let is_installed = |seen: &Seen| found.and_then(|found| installed(found, seen)).unwrap_or(seen.path.is_some());
    // Of one that only the company finds no more is known.
    let works = |seen: &Seen| is_installed(seen) && (seen.path.is_none() || seen.is_usable());
    let has_one = |name: &DepartmentName| seen.iter().any(|seen| seen.departments.contains(name) && works(seen));
    let agents = seen.iter().filter(|seen| all || !seen.departments.is_empty());
    let about = |agent: &Seen| match (is_installed(agent), &agent.path) {
        (true, None) => elsewhere(agent, Level::Ok, "not here, but on the PATH of the company that is up".to_owned()),
        (false, Some(path)) => {
            let path = path.display();
            let words = format!("{path} is not on the PATH of the company that is up: start that again from here");
            elsewhere(agent, Level::Warn, words)
        }
        _ => finding(agent, agent.departments.iter().all(has_one)),
    };
    let mut findings: Vec<_> = agents.map(about).collect();
    // Whoever has an agent of their own knows what it is for.
    if !seen.iter().any(|seen| seen.agent.as_str() != SHELL && !seen.departments.is_empty() && works(seen)) {
        findings.push(Finding::new(Level::Warn, "agents", NOBODY.to_owned()));
    }
    let of = |name: &DepartmentName| seen.iter().filter(|seen| seen.departments.contains(name)).collect::<Vec<_>>();
    for name in company.departments.keys().filter(|name| !has_one(name)) {
        let (commands, others): (Vec<_>, Vec<_>) = of(name).into_iter().partition(|seen| seen.commands);
        // Where only commands are run, none is missed.
        if others.is_empty() {
            continue;
        }
        let commands = commands.first().map(|seen| format!("; \"{}\" takes only tasks that name it", seen.agent));
        let message = format!(
            "{name} has no agent that can work: install or sign in one that it lists, or list another{}",
            commands.unwrap_or_default()
        );
        findings.push(Finding::new(Level::Warn, "agents", message));
    }
    findings
}

const SHELL: &str = "shell";
const NOBODY: &str = "no coding agent can work: install one, such as `npm install -g @anthropic-ai/claude-code`, and sign in \
     by running it once; until then only commands can be run (--agent shell)";

/// True if the company that is up finds it; `None`: it knows none of that name.
fn installed(found: &Agents, seen: &Seen) -> Option<bool> {
    found.agents.iter().find(|agent| agent.name == seen.agent).map(|agent| agent.installed)
}

fn elsewhere(agent: &Seen, level: Level, words: String) -> Finding {
    let is_plain = agent.kind == AgentKind::Command;
    let message = format!("{}: {words}", agent.agent);
    Finding { agent: (!is_plain).then(|| agent.clone()), ..Finding::new(level, "agents", message) }
}

/// Others can do the work of one that isn't there; one that is there and doesn't work is worth a word all the same.
fn finding(agent: &Seen, others: bool) -> Finding {
    let name = &agent.agent;
    let is_there = agent.path.is_some();
    let (level, message) = match agent.advice() {
        Some(advice) => (if others && !is_there { Level::Info } else { Level::Warn }, format!("{name}: {advice}")),
        None => {
            let path = agent.path.as_ref().map_or_else(|| agent.program.clone(), |path| path.display().to_string());
            let what = agent.summary();
            let what = if what.is_empty() { path } else { format!("{what}; {path}") };
            let by = agent.signed_in.as_ref().map(|by| format!(" (by {by})")).unwrap_or_default();
            (Level::Ok, format!("{name}: {what}{by}"))
        }
    };
    let is_plain = agent.kind == AgentKind::Command;
    Finding { agent: (!is_plain).then(|| agent.clone()), ..Finding::new(level, "agents", message) }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use nexus_core::id::AgentName;

    use super::*;

    fn seen(change: impl FnOnce(&mut Seen)) -> Seen {
        let mut seen = Seen {
            agent: AgentName::new("claude").unwrap(),
            kind: AgentKind::Claude,
            departments: vec![DepartmentName::new("qa").unwrap()],
            program: "claude".to_owned(),
            path: Some(PathBuf::from("/bin/claude")),
            version: Some("2.1.330".to_owned()),
            older_than: None,
            fault: None,
            signed_in: None,
            sign_in: None,
            install: Some("npm install -g it"),
            commands: false,
        };
        change(&mut seen);
        seen
    }

    #[test]
    fn what_is_said_of_an_agent_and_how_loudly() {
        let absent = || seen(|seen| (seen.path, seen.version) = (None, None));
        let (ok, info, warn) = (Level::Ok, Level::Info, Level::Warn);
        for (agent, others, level, message) in [
            (
                seen(|seen| seen.signed_in = Some("KEY".into())),
                true,
                ok,
                "claude: 2.1.330, signed in; /bin/claude (by KEY)",
            ),
            (seen(|_| {}), false, ok, "claude: 2.1.330; /bin/claude"),
            (absent(), true, info, "claude: not installed; to get it: npm install -g it"),
            (absent(), false, warn, "claude: not installed; to get it: npm install -g it"),
            (
                seen(|seen| seen.sign_in = Some("run `claude`".into())),
                true,
                warn,
                "claude: installed, not signed in; run `claude`",
            ),
            (
                seen(|seen| seen.fault = Some("`claude --version`: no".into())),
                true,
                warn,
                "claude: installed, and doesn't work: `claude --version`: no",
            ),
            (
                seen(|seen| seen.older_than = Some("3.0.0")),
                true,
                warn,
                "claude: version 2.1.330 is older than 3.0.0, which is known to work; update it",
            ),
        ] {
            let finding = finding(&agent, others);
            assert_eq!((finding.level, finding.message.as_str()), (level, message));
        }
    }
}
