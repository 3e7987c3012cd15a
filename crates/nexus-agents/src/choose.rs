//! Which agent gets a task: the one asked for, else the one whose session can be gone on with, else the department's first
//! that can be used.

use std::path::PathBuf;

use jiff::Timestamp;
use nexus_core::agent::AgentSpec;
use nexus_core::id::AgentName;

use crate::adapter::{Adapter, adapter};

/// The state of an agent on this machine, now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its program is there.
    pub installed: bool,
    /// Its account is closed.
    pub closed: Option<Closed>,
}

/// Until when something can't go on, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    pub until: Timestamp,
    /// A part of a sentence.
    pub why: String,
}

/// The wishes of a task.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish<'a> {
    pub preferred: Option<&'a AgentName>,
    /// The agent whose session an attempt before has left.
    pub resume: Option<&'a AgentName>,
}

/// Which agent gets a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice<'a> {
    Agent(&'a AgentName),
    /// It asks for this one, whose account is closed.
    Wait(&'a AgentName, Closed),
    /// The accounts of all that could do it are closed.
    Closed(Closed),
    /// The department has no agent for it.
    Nobody,
}

/// Chooses among the agents of a department that may get the task, which are in its order.
///
/// Where no agent is installed it is the first: an attempt that fails with "claude was not found" says more than a task that
/// waits for ever. The same goes for one that is asked for.
pub fn choose<'a>(wish: Wish<'a>, agents: &[&'a AgentName], stands: impl Fn(&AgentName) -> Standing) -> Choice<'a> {
    if let Some(preferred) = wish.preferred {
        return match stands(preferred).closed {
            Some(closed) => Choice::Wait(preferred, closed),
            None => Choice::Agent(preferred),
        };
    }
    let is_listed = |agent: &&'a AgentName| agents.contains(agent);
    let in_order = || wish.resume.filter(is_listed).into_iter().chain(agents.iter().copied());
    let is_open = |agent: &&AgentName| {
        let Standing { installed, closed } = stands(agent);
        installed && closed.is_none()
    };
    if let Some(agent) = in_order().find(is_open) {
        return Choice::Agent(agent);
    }
    match (closed(agents.iter().copied(), stands), agents.first()) {
        (Some(closed), _) => Choice::Closed(closed),
        (None, Some(first)) => Choice::Agent(first),
        (None, None) => Choice::Nobody,
    }
}

/// The reason why none of these can work, where the accounts of all that are installed are closed; until when, and why of
/// each.
pub fn closed<'a>(
    agents: impl IntoIterator<Item = &'a AgentName>,
    stands: impl Fn(&AgentName) -> Standing,
) -> Option<Closed> {
    let mut all: Option<Closed> = None;
    for agent in agents {
        let standing = stands(agent);
        if !standing.installed {
            continue;
        }
        let Closed { until, why } = standing.closed?;
        let why = format!("{agent}: {why}");
        all = Some(match all {
            Some(others) => Closed { until: others.until.min(until), why: format!("{}; {why}", others.why) },
            None => Closed { until, why },
        });
    }
    all
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

    fn shut(seconds: i64) -> Closed {
        Closed { until: Timestamp::from_second(seconds).unwrap(), why: format!("until {seconds}") }
    }

    /// Three agents; each is `-` (not installed), `o` (open), or closed for so many tens of seconds.
    fn check(stands: &str, preferred: Option<&str>, resume: Option<&str>, expected: &str) {
        let name = |text: &str| AgentName::new(text).unwrap();
        let agents = ["claude", "codex", "qwen"].map(name);
        let standing = |agent: &AgentName| {
            let at = agents.iter().position(|one| one == agent).unwrap();
            let how = stands.as_bytes()[at];
            let closed = how.is_ascii_digit().then(|| shut(i64::from(how - b'0') * 10));
            Standing { installed: how != b'-', closed }
        };
        let (preferred, resume) = (preferred.map(name), resume.map(name));
        let wish = Wish { preferred: preferred.as_ref(), resume: resume.as_ref() };
        let said = match choose(wish, &agents.each_ref(), standing) {
            Choice::Agent(agent) => agent.to_string(),
            Choice::Wait(agent, closed) => format!("{agent} waits {}", closed.why),
            Choice::Closed(closed) => format!("{} at {}", closed.why, closed.until.as_second()),
            Choice::Nobody => "nobody".to_owned(),
        };
        assert_eq!(said, expected, "{stands} {preferred:?} {resume:?}");
    }

    #[test]
    fn asked_for_then_its_session_then_the_order_of_the_department() {
        check("ooo", None, None, "claude");
        check("-oo", None, None, "codex");
        check("1oo", None, None, "codex");
        check("1-o", None, None, "qwen");
        check("ooo", None, Some("qwen"), "qwen");
        check("oo1", None, Some("qwen"), "claude");
        check("oo-", None, Some("qwen"), "claude");
        check("ooo", None, Some("shell"), "claude");
        check("ooo", Some("codex"), Some("qwen"), "codex");
        check("o1o", Some("codex"), Some("qwen"), "codex waits until 10");
        check("o-o", Some("codex"), None, "codex");
        check("21-", None, Some("codex"), "claude: until 20; codex: until 10 at 10");
        check("---", None, Some("codex"), "claude");
        assert_eq!(choose(Wish::default(), &[], |_| Standing::default()), Choice::Nobody);
    }

    #[test]
    fn installed_means_a_program_that_is_there() {
        assert!(is_installed(&AgentSpec::shell()));
        let absent = AgentSpec { command: vec!["no-such-program-anywhere".to_owned()], ..AgentSpec::shell() };
        assert!(!is_installed(&absent));
    }
}
