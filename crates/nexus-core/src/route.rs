//! Which department a submission belongs to, and whether it can be accepted at all.

use jiff::Timestamp;

use crate::assign::{candidates, nobody, runs_commands};
use crate::company::Company;
use crate::due::LATEST;
use crate::id::{AgentName, DepartmentName, TaskId};
use crate::refusal::{Refusal, RefusalKind};
use crate::task::{COMMAND_TYPE, DEFAULT_TASK_TYPE, MAX_CONTEXT, MAX_DESCRIPTION, MAX_WORDS, Submission, Task};

/// Where a submission goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub department: DepartmentName,
    pub preferred_agent: Option<AgentName>,
    /// What whoever asks may not expect, as a sentence.
    pub note: Option<String>,
}

impl Route {
    /// The task that a submission becomes there; who has asked for it on whose behalf, and by which trace, is not its own to say.
    #[must_use]
    pub fn task(self, submission: Submission, id: TaskId, project_path: String, created_at: Timestamp) -> Task {
        Task {
            id,
            department: self.department,
            description: submission.description,
            task_type: submission.task_type,
            project_path,
            context: submission.context,
            preferred_agent: self.preferred_agent,
            priority: submission.priority,
            timeout_seconds: submission.timeout_seconds,
            max_attempts: submission.max_attempts,
            not_before: submission.not_before,
            include_uncommitted: submission.include_uncommitted,
            created_at,
            traceparent: None,
            parent: None,
        }
    }
}

/// Routes a submission: an explicit department wins, then the task's type, then the company's default.
pub fn route(company: &Company, submission: &Submission) -> Result<Route, Refusal> {
    check(submission)?;
    let preferred_agent = submission.preferred_agent.as_deref().map(|name| agent(company, name)).transpose()?;
    let department = match submission.department.as_deref() {
        Some(name) => named(company, name)?,
        None => by_type(company, &submission.task_type, preferred_agent.as_ref()),
    };
    fits(company, &department, preferred_agent.as_ref(), &submission.task_type)?;
    let note = note(company, submission, &department);
    Ok(Route { department, preferred_agent, note })
}

/// Refuses a task for a department that has no agent for it.
pub fn fits(
    company: &Company,
    department: &DepartmentName,
    preferred: Option<&AgentName>,
    task_type: &str,
) -> Result<(), Refusal> {
    let Some(policy) = company.departments.get(department) else { return Ok(()) };
    let Some(agent) = preferred else {
        let nobody_takes_it = candidates(&policy.agents, &company.agents, task_type).is_empty();
        return if nobody_takes_it { Err(nobody(department, policy, &company.agents, task_type)) } else { Ok(()) };
    };
    if policy.agents.contains(agent) {
        return Ok(());
    }
    let listing = listing(company, agent);
    let help = if listing.is_empty() {
        format!("add \"{agent}\" to `agents` in departments/{department}.toml")
    } else {
        format!("departments that do: {}", listing.join(", "))
    };
    let message = format!("the department {department} does not list the agent {agent}");
    Err(Refusal::new(RefusalKind::AgentNotInDepartment, message).with_help(help))
}

/// That no department lists the type, where that has chosen it.
fn note(company: &Company, submission: &Submission, department: &DepartmentName) -> Option<String> {
    let task_type = &submission.task_type;
    let is_usual = [COMMAND_TYPE, DEFAULT_TASK_TYPE].contains(&task_type.as_str());
    let types = || company.departments.values().flat_map(|policy| &policy.task_types).map(String::as_str);
    if submission.department.is_some() || is_usual || types().any(|listed| listed == task_type) {
        return None;
    }
    let known: Vec<&str> = types().collect();
    let meant = nearest(task_type, &known).map(|near| format!(" (did you mean \"{near}\"?)")).unwrap_or_default();
    Some(format!("no department lists the type \"{task_type}\"{meant}: it goes to {department}"))
}

/// Refuses a submission that no company could take.
pub fn check(submission: &Submission) -> Result<(), Refusal> {
    let length = submission.description.len();
    if submission.description.trim().is_empty() {
        return Err(
            Refusal::invalid("the task's description is empty").with_help("say in a sentence what is to be done")
        );
    }
    if length > MAX_DESCRIPTION {
        let message = format!("the task's description has {length} bytes; at most {MAX_DESCRIPTION} are accepted");
        return Err(Refusal::invalid(message).with_help("put the text into a file of the project and name the file"));
    }
    if submission.description.contains('\0') {
        return Err(Refusal::invalid("the task's description holds a NUL byte, which no program can be given"));
    }
    if let Some(context) = &submission.context {
        let size = serde_json::to_vec(context).map_or(0, |json| json.len());
        if size > MAX_CONTEXT {
            let message = format!("the task's context has {size} bytes of JSON; at most {MAX_CONTEXT} are accepted");
            return Err(Refusal::invalid(message).with_help("put it into a file of the project and name the file"));
        }
    }
    let words = [
        ("task_type", Some(&submission.task_type)),
        ("project_path", Some(&submission.project_path)),
        ("idempotency_key", submission.idempotency_key.as_ref()),
    ];
    for (name, value) in words.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        if value.is_empty() || value.len() > MAX_WORDS || value.contains('\0') {
            return Err(Refusal::invalid(format!("{name} must have 1 to {MAX_WORDS} bytes, and no NUL among them")));
        }
    }
    if submission.timeout_seconds == Some(0) {
        return Err(Refusal::invalid("timeout_seconds is 0; the shortest time-out is 1 second"));
    }
    if submission.max_attempts == Some(0) {
        return Err(Refusal::invalid("max_attempts is 0; a task has at least 1 attempt"));
    }
    if let Some(due) = submission.not_before.filter(|due| *due > LATEST) {
        let message = format!("not_before is {due}; the latest time that a task can wait for is {LATEST}");
        return Err(
            Refusal::invalid(message).with_help("check the unit of the time, or leave the task out until it is due")
        );
    }
    Ok(())
}

/// The agent of that name.
pub fn agent(company: &Company, name: &str) -> Result<AgentName, Refusal> {
    let known = AgentName::new(name).ok().filter(|agent| company.agents.contains_key(agent));
    known.ok_or_else(|| {
        let options: Vec<_> = company.agents.keys().map(AgentName::as_str).collect();
        let message = format!("Invalid agent type: {name}. Valid options: {}", options.join(", "));
        Refusal::new(RefusalKind::UnknownAgent, message)
    })
}

/// The department of that name.
pub fn named(company: &Company, name: &str) -> Result<DepartmentName, Refusal> {
    let known = DepartmentName::new(name).ok().filter(|department| company.departments.contains_key(department));
    known.ok_or_else(|| {
        let names: Vec<_> = company.departments.keys().map(DepartmentName::as_str).collect();
        no_such_department(name, &names)
    })
}

/// The refusal of a department that isn't among these.
#[must_use]
pub fn no_such_department(name: &str, known: &[&str]) -> Refusal {
    let listed = format!("departments: {}", known.join(", "));
    let help = match nearest(name, known) {
        Some(near) => format!("did you mean {near}? ({listed})"),
        None => listed,
    };
    Refusal::new(RefusalKind::UnknownDepartment, format!("there is no department \"{name}\"")).with_help(help)
}

/// The name that was probably meant: the one closest by Damerau-Levenshtein similarity, if any is close at all.
#[must_use]
pub fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let scored = known.iter().map(|name| (strsim::normalized_damerau_levenshtein(given, name), *name));
    scored.filter(|(score, _)| *score > 0.5).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

/// Among departments that take the type, one that has the agent is preferred; without any, the same among all. A command asks
/// for any agent that runs commands.
fn by_type(company: &Company, task_type: &str, agent: Option<&AgentName>) -> DepartmentName {
    let takes = |name: &&DepartmentName| company.departments[*name].task_types.iter().any(|t| t == task_type);
    let has = |name: &&DepartmentName| {
        let listed = &company.departments[*name].agents;
        match agent {
            Some(agent) => listed.contains(agent),
            None => task_type != COMMAND_TYPE || listed.iter().any(|agent| runs_commands(agent, &company.agents)),
        }
    };
    let mut takers = company.departments.keys().filter(takes);
    let fallback = || {
        let default = Some(&company.default_department).filter(has);
        default.or_else(|| company.departments.keys().find(has)).unwrap_or(&company.default_department)
    };
    takers.clone().find(has).or_else(|| takers.next()).unwrap_or_else(fallback).clone()
}

fn listing<'a>(company: &'a Company, agent: &AgentName) -> Vec<&'a str> {
    let lists = company.departments.iter().filter(|(_, department)| department.agents.contains(agent));
    lists.map(|(name, _)| name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{AgentKind, AgentSpec};
    use crate::department::Department;
    use crate::restart::RestartPolicy;
    use crate::units::Span;
    use std::sync::Arc;
    use std::time::Duration;

    fn company() -> Company {
        let department = |types: &[&str], agents: &[&str]| {
            Arc::new(Department {
                task_types: types.iter().map(|t| (*t).to_owned()).collect(),
                agents: agents.iter().map(|a| AgentName::new(*a).unwrap()).collect(),
                ..Department::default()
            })
        };
        let name = |text: &str| DepartmentName::new(text).unwrap();
        let echo = AgentSpec { command: vec!["echo".to_owned()], ..AgentSpec::of(AgentKind::Command) };
        let agents = [("shell", AgentSpec::shell()), ("echo", echo)];
        let agents = agents.map(|(name, spec)| (AgentName::new(name).unwrap(), Arc::new(spec)));
        Company {
            name: "test".into(),
            default_department: name("engineering"),
            departments: [
                (name("engineering"), department(&["code_generation"], &["shell", "echo"])),
                (name("qa"), department(&["testing", "shared"], &["shell"])),
                (name("research"), department(&["shared"], &["echo"])),
                (name("words"), department(&["writing"], &["echo"])),
            ]
            .into(),
            agents: agents.into(),
            restart: RestartPolicy::default(),
            budget: Default::default(),
            delegation: Default::default(),
            retention: Span::from_secs(60),
            shutdown_grace: Span::from_secs(1),
        }
    }

    fn check_route(change: impl FnOnce(&mut Submission), expected: Result<&str, (RefusalKind, &str)>) {
        let mut submission = Submission::new("do it");
        change(&mut submission);
        match (route(&company(), &submission), expected) {
            (Ok(route), Ok(department)) => assert_eq!(route.department.as_str(), department, "{submission:?}"),
            (Err(refusal), Err((kind, words))) => {
                assert_eq!(refusal.kind, kind, "{refusal:?}");
                let text = format!("{} {}", refusal.message, refusal.help.unwrap_or_default());
                assert!(text.contains(words), "{text}");
            }
            (got, expected) => panic!("{submission:?}: {got:?}, not {expected:?}"),
        }
    }

    #[test]
    fn explicit_department_then_type_then_default() {
        check_route(|_| (), Ok("engineering"));
        check_route(|s| s.task_type = "writing".into(), Ok("words"));
        check_route(|s| s.task_type = "unheard_of".into(), Ok("engineering"));
        check_route(|s| s.department = Some("words".into()), Ok("words"));
    }

    #[test]
    fn commands_go_where_they_are_run_and_prose_never_does() {
        check_route(|s| s.task_type = COMMAND_TYPE.into(), Ok("engineering"));
        let qa = |task_type: &'static str| {
            move |s: &mut Submission| {
                s.department = Some("qa".into());
                s.task_type = task_type.into();
            }
        };
        check_route(qa(COMMAND_TYPE), Ok("qa"));
        let refused =
            (RefusalKind::NoAgent, "the department qa lists no coding agent, and \"shell\" runs commands, not prose");
        check_route(qa("bug_fix"), Err(refused));
        check_route(|s| s.task_type = "testing".into(), Err(refused));
        let mut company = company();
        let research = Arc::clone(&company.departments[&DepartmentName::new("research").unwrap()]);
        company.departments.insert(DepartmentName::new("engineering").unwrap(), research);
        let command = Submission { task_type: COMMAND_TYPE.into(), ..Submission::new("make") };
        assert_eq!(route(&company, &command).unwrap().department.as_str(), "qa", "the default one runs no commands");
    }

    #[test]
    fn a_type_that_nobody_lists_is_said() {
        let note = |task_type: &str, department: Option<&str>| {
            let department = department.map(str::to_owned);
            let submission = Submission { task_type: task_type.into(), department, ..Submission::new("do it") };
            route(&company(), &submission).unwrap().note
        };
        let said = "no department lists the type \"writting\" (did you mean \"writing\"?): it goes to engineering";
        assert_eq!(note("writting", None).as_deref(), Some(said));
        assert_eq!(note("writing", None), None);
        assert_eq!(note("writting", Some("words")), None);
        assert_eq!(note(DEFAULT_TASK_TYPE, None), None);
    }

    #[test]
    fn an_agent_narrows_the_choice() {
        let ask = |task_type: &'static str, agent: &'static str| {
            move |s: &mut Submission| {
                s.task_type = task_type.into();
                s.preferred_agent = Some(agent.into());
            }
        };
        check_route(ask("shared", "shell"), Ok("qa"));
        check_route(ask("shared", "echo"), Ok("research"));
        let qa = |agent: &'static str| {
            move |s: &mut Submission| {
                s.department = Some("qa".into());
                s.preferred_agent = Some(agent.into());
            }
        };
        check_route(
            qa("echo"),
            Err((RefusalKind::AgentNotInDepartment, "departments that do: engineering, research, words")),
        );
        let invalid = "Invalid agent type: gpt. Valid options: echo, shell";
        check_route(qa("gpt"), Err((RefusalKind::UnknownAgent, invalid)));
    }

    #[test]
    fn bad_input_is_refused_with_the_way_out() {
        use RefusalKind::{InvalidInput, UnknownDepartment};
        check_route(
            |s| s.department = Some("enginering".into()),
            Err((UnknownDepartment, "did you mean engineering?")),
        );
        check_route(|s| s.department = Some("a.b >".into()), Err((UnknownDepartment, "departments: engineering, qa")));
        check_route(|s| s.description = " \n".into(), Err((InvalidInput, "is empty")));
        check_route(|s| s.description = "x".repeat(1 << 20), Err((InvalidInput, "at most 131071")));
        check_route(|s| s.description = "a\0b".into(), Err((InvalidInput, "NUL")));
        check_route(|s| s.timeout_seconds = Some(0), Err((InvalidInput, "1 second")));
        check_route(|s| s.max_attempts = Some(0), Err((InvalidInput, "at least 1")));
        check_route(|s| s.not_before = Some(LATEST), Ok("engineering"));
        let late = LATEST.checked_add(Duration::from_secs(1)).ok();
        check_route(move |s| s.not_before = late, Err((InvalidInput, "can wait for is 2262-01-01T00:00:00Z")));
        check_route(|s| s.idempotency_key = Some(String::new()), Err((InvalidInput, "idempotency_key")));
    }
}
