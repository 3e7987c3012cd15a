//! Which agents this machine has: installed or not, in which version, and whether they look signed in.
//!
//! Nothing is remembered: whoever asks gets what is so now. A program that is asked for its version may hang, and is killed
//! then.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use nexus_agents::{Adapter, Login, Look, adapter};
use nexus_core::agent::{AgentKind, AgentSpec};
use nexus_core::company::Company;
use nexus_core::department::Department;
use nexus_core::id::{AgentName, DepartmentName};
use nexus_process::{Command, capture, user_environment};
use serde::Serialize;

/// The findings about one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    pub agent: AgentName,
    pub kind: AgentKind,
    /// Departments that list it.
    pub departments: Vec<DepartmentName>,
    /// As it is looked for.
    pub program: String,
    /// Where it is, if it is installed.
    pub path: Option<PathBuf>,
    /// Of a coding agent.
    pub version: Option<String>,
    /// The oldest version that is known to work, where its own is older.
    pub older_than: Option<&'static str>,
    /// Why it can't be run, though it is installed.
    pub fault: Option<String>,
    /// By what it looks signed in; none if it doesn't, or that can't be told.
    pub signed_in: Option<String>,
    /// The way to sign in, if it looks as if nobody has.
    pub sign_in: Option<String>,
    /// The way to get it.
    pub install: Option<&'static str>,
    /// It runs commands, and takes only tasks that name it.
    pub commands: bool,
}

impl Seen {
    /// It can be expected to do a task that is prose.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        !self.commands && self.path.is_some() && self.fault.is_none() && self.sign_in.is_none()
    }

    /// The findings in a few words: `2.1.197, signed in`.
    #[must_use]
    pub fn summary(&self) -> String {
        let login = match (&self.signed_in, &self.sign_in) {
            (Some(_), _) => Some("signed in"),
            (None, Some(_)) => Some("not signed in"),
            (None, None) => None,
        };
        let words: Vec<&str> = self.version.as_deref().into_iter().chain(login).collect();
        words.join(", ")
    }

    /// The advice about it; none where nothing is to be done.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        if self.path.is_none() {
            let get = self.install.map_or_else(
                || format!("install `{}`, or put it on PATH", self.program),
                |install| format!("to get it: {install}"),
            );
            return Some(format!("not installed; {get}"));
        }
        if let Some(fault) = &self.fault {
            return Some(format!("installed, and doesn't work: {fault}"));
        }
        if let Some(how) = &self.sign_in {
            return Some(format!("installed, not signed in; {how}"));
        }
        let (old, version) = (self.older_than?, self.version.as_deref()?);
        Some(format!("version {version} is older than {old}, which is known to work; update it"))
    }
}

/// Looks for all agents of a company at once. It takes as long as the slowest of them needs to say its version.
pub async fn survey(company: &Company) -> Vec<Seen> {
    let users = |name: &AgentName| {
        let lists = |(_, department): &(&DepartmentName, &Arc<Department>)| department.agents.contains(name);
        company.departments.iter().filter(lists).map(|(name, _)| name.clone()).collect()
    };
    join_all(company.agents.iter().map(|(name, spec)| look_at(name, spec, users(name)))).await
}

async fn look_at(name: &AgentName, spec: &AgentSpec, departments: Vec<DepartmentName>) -> Seen {
    let adapter = adapter(spec.kind);
    let program = nexus_agents::program(spec).unwrap_or(name.as_str()).to_owned();
    let mut seen = Seen {
        agent: name.clone(),
        kind: spec.kind,
        departments,
        path: nexus_agents::find(&program),
        program,
        version: None,
        older_than: None,
        fault: None,
        signed_in: None,
        sign_in: None,
        install: adapter.map(Adapter::install),
        commands: spec.runs_commands(),
    };
    // Any other program may do anything when it is started.
    let (Some(tried), Some(_)) = (nexus_agents::tried(spec.kind), &seen.path) else { return seen };
    match adapter.map_or(Login::Unknown, |adapter| login(adapter, spec)) {
        Login::SignedIn(by) => seen.signed_in = Some(by),
        Login::SignedOut(how) => seen.sign_in = Some(how),
        Login::Unknown => {}
    }
    match version(spec, &seen.program).await {
        Ok(version) => {
            seen.older_than = Some(tried).filter(|tried| nexus_agents::is_older(&version, tried));
            seen.version = Some(version);
        }
        Err(fault) => seen.fault = Some(fault),
    }
    seen
}

/// The state of its sign-in. Of secrets only that they are there is looked at.
fn login(adapter: &dyn Adapter, spec: &AgentSpec) -> Login {
    let home = std::env::home_dir().unwrap_or_default();
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let has_variable = |name: &str| is_set(name) || spec.env.contains_key(name) || spec.secrets.contains_key(name);
    let has_file = |path: &Path| path.metadata().is_ok_and(|file| file.is_file() && file.len() > 0);
    adapter.login(&Look { home: &home, has_variable: &has_variable, has_file: &has_file })
}

/// Longest that a program may take to say its version: some start a runtime first, on a machine that may be busy.
const PATIENCE: Duration = Duration::from_secs(10);
/// Nobody needs more to say a version.
const PRINTED: usize = 64 * 1024;
/// To say its version is no occasion to renew itself.
const QUIET: [(&str, &str); 3] =
    [("DISABLE_AUTOUPDATER", "1"), ("COPILOT_AUTO_UPDATE", "false"), ("OPENCODE_DISABLE_AUTOUPDATE", "1")];

async fn version(spec: &AgentSpec, program: &str) -> Result<String, String> {
    // Of `npx codex` the version of codex is wanted.
    let args = spec.command.iter().skip(1).cloned().chain(["--version".to_owned()]);
    let own = spec.env.iter().map(|(name, value)| (name.clone(), value.clone()));
    let quiet = QUIET.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let own = quiet.into_iter().chain(own).map(|(name, value)| (name.into(), value.into()));
    let env = user_environment(&[]).into_iter().chain(own);
    let command = Command::new(program, std::env::temp_dir()).args(args).env(env);
    let captured = capture(&command, PATIENCE, PRINTED).await.map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&captured.stdout), text(&captured.stderr));
    match nexus_agents::version(&stdout).or_else(|| nexus_agents::version(&stderr)) {
        Some(version) if captured.success() => Ok(version.to_owned()),
        _ => {
            let said =
                [&stderr, &stdout].into_iter().flat_map(|text| text.lines()).find(|line| !line.trim().is_empty());
            let said =
                said.map_or_else(|| "it says nothing".to_owned(), |line| line.trim().chars().take(200).collect());
            Err(format!("`{program} --version`: {said}"))
        }
    }
}

/// Says in the log, a line a department, who works there, and what of it needs attention.
pub async fn announce(company: &Company) {
    let seen = survey(company).await;
    for (name, department) in &company.departments {
        let listed = department.agents.iter().filter_map(|agent| seen.iter().find(|seen| seen.agent == *agent));
        let (there, absent): (Vec<_>, Vec<_>) = listed.partition(|seen| seen.path.is_some());
        let there: Vec<_> = there
            .into_iter()
            .map(|seen| match seen.summary() {
                summary if summary.is_empty() => seen.agent.to_string(),
                summary => format!("{} ({summary})", seen.agent),
            })
            .collect();
        let workers = department.workers;
        let there = if there.is_empty() { "none that is installed".to_owned() } else { there.join(", ") };
        tracing::info!("{name}: {workers} workers; agents {there}");
        let mut takers = seen.iter().filter(|seen| seen.departments.contains(name) && !seen.commands).peekable();
        if takers.peek().is_some() && !takers.any(Seen::is_usable) {
            for absent in absent {
                tracing::warn!("{name}: {}: {}", absent.agent, absent.advice().unwrap_or_default());
            }
        }
    }
    for seen in seen.iter().filter(|seen| seen.path.is_some() && !seen.departments.is_empty()) {
        if let Some(advice) = seen.advice() {
            tracing::warn!("{}: {advice}", seen.agent);
        }
    }
}

#[cfg(test)]
mod tests;
