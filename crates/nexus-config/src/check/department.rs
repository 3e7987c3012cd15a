//! Checks of `departments/*.toml`.

use nexus_core::assign::{Specs, candidates, nobody};
use nexus_core::department::{
    Department, Limits, Network, Sandbox, SandboxLevel, SandboxTier, Workspace, WorkspaceMode,
};
use nexus_core::id::DepartmentName;
use nexus_core::retry::RetryPolicy;
use nexus_core::trigger::{self, Fault};

use super::{Check, subject};
use crate::explain::unknown;

const MAX_WORKERS: u32 = 10_000;

pub(super) fn check(check: &mut Check<'_>, name: &DepartmentName, department: &Department, specs: &Specs) {
    let own = ["departments", name.as_str()];
    let at = |keys: &[&'static str]| [&own[..], keys].concat();
    let workers = department.workers;
    check.refuse_if(
        !(1..=MAX_WORKERS).contains(&workers),
        &at(&["workers"]),
        &format!("`workers` is {workers}, and must be from 1 to {MAX_WORKERS}"),
    );
    for (index, task_type) in department.task_types.iter().enumerate() {
        let index = index.to_string();
        let path = [&own[..], &["task_types", &index]].concat();
        check.refuse_if(task_type.trim().is_empty(), &path, "a task type can't be empty");
    }
    agents(check, &own, department);
    delegates_to(check, &own, department);
    let waiting = department.queue.max_waiting;
    check.refuse_if(waiting == 0, &at(&["queue", "max_waiting"]), "`max_waiting` must be at least 1");
    check.restart(&department.restart, &own);
    retry(check, &own, &department.retry);
    limits(check, &own, &department.limits);
    check.budget(&department.budget, &own);
    sandbox(check, &own, &department.sandbox);
    images(check, &own, department, specs);
    for (index, variable) in department.environment.pass.iter().enumerate() {
        check.variable(variable, &[&own[..], &["environment", "pass", &index.to_string()]].concat());
    }
    for variable in department.environment.set.keys() {
        check.variable(variable, &[&own[..], &["environment", "set", variable]].concat());
    }
    triggers(check, &own, (name, department), specs);
    warm(check, &own, &department.workspace);
}

fn warm(check: &mut Check<'_>, own: &[&str], workspace: &Workspace) {
    for (index, command) in workspace.warm.iter().enumerate() {
        let index = index.to_string();
        let path = [own, &["workspace", "warm", &index]].concat();
        check.refuse_if(command.trim().is_empty(), &path, "a command can't be empty");
    }
    let is_for_clones = workspace.layers && workspace.mode.is_none_or(|mode| mode == WorkspaceMode::Clone);
    check.refuse_if(
        !workspace.warm.is_empty() && !is_for_clones,
        &[own, &["workspace", "warm"]].concat(),
        "`warm` fills layers of clones: it needs `mode = \"clone\"`, or none, and `layers = true`",
    );
}

fn agents(check: &mut Check<'_>, own: &[&str], department: &Department) {
    check.refuse_if(department.agents.is_empty(), &[own, &["agents"]].concat(), "a department needs an agent");
    let Some(declared) = check.agents.clone() else { return };
    for (index, agent) in department.agents.iter().map(|agent| agent.as_str()).enumerate() {
        if declared.iter().any(|name| name == agent) {
            continue;
        }
        let index = index.to_string();
        let path = [own, &["agents", &index]].concat();
        let known: Vec<&str> = declared.iter().map(String::as_str).collect();
        let (message, help) = unknown(&format!("there is no agent `{agent}`"), agent, &known, '`');
        check.refuse_with(&path, message, help);
    }
}

fn delegates_to(check: &mut Check<'_>, own: &[&str], department: &Department) {
    let (Some(listed), Some(declared)) = (&department.delegates_to, check.departments.clone()) else { return };
    for (index, name) in listed.iter().enumerate().filter(|(_, name)| !declared.contains(name)) {
        let index = index.to_string();
        let path = [own, &["delegates_to", &index]].concat();
        let known: Vec<&str> = declared.iter().map(DepartmentName::as_str).collect();
        let (message, help) = unknown(&format!("there is no department `{name}`"), name.as_str(), &known, '`');
        check.refuse_with(&path, message, help);
    }
}

fn retry(check: &mut Check<'_>, own: &[&str], retry: &RetryPolicy) {
    let at = |keys: &[&'static str]| [own, &["retry"], keys].concat();
    let wrong = retry.max_attempts == 0;
    check.refuse_if(wrong, &at(&["max_attempts"]), "`max_attempts` counts the first one too: it must be at least 1");
    let wrong = retry.commands == Some(0);
    check.refuse_if(wrong, &at(&["commands"]), "`commands` counts the first attempt too: it must be at least 1");
    let backoff = retry.backoff;
    let factor = backoff.factor.is_finite() && backoff.factor >= 1.0;
    check.refuse_if(!factor, &at(&["backoff", "factor"]), "`factor` must be at least 1");
    let jitter = (0.0..=1.0).contains(&backoff.jitter);
    check.refuse_if(!jitter, &at(&["backoff", "jitter"]), "`jitter` is a share of the delay: it must be from 0 to 1");
}

/// Less memory than this no interpreter starts in.
const LEAST_MEMORY: u64 = 16 * 1024 * 1024;
/// A program with its three streams, its libraries, and a few files.
const LEAST_OPEN_FILES: u32 = 16;

fn limits(check: &mut Check<'_>, own: &[&str], limits: &Limits) {
    let Limits {
        wall_time,
        idle_time,
        memory,
        processes,
        cpu,
        output,
        open_files,
        file_size,
        tokens,
        turns,
        cost,
        task_time,
        first_event,
        minimum: _,
    } = *limits;
    let at = |key: &'static str| [own, &["limits", key]].concat();
    check.refuse_if(tokens == Some(0), &at("tokens"), "`tokens` must be more than zero");
    check.refuse_if(turns == Some(0), &at("turns"), "`turns` must be more than zero");
    check.refuse_if(cost.is_some_and(|cost| cost.micros() == 0), &at("cost"), "`cost` must be more than zero");
    check.more_than_zero(task_time, &at("task_time"));
    check.more_than_zero(first_event, &at("first_event"));
    check.more_than_zero(wall_time, &at("wall_time"));
    check.more_than_zero(idle_time, &at("idle_time"));
    let little = memory.is_some_and(|size| size.bytes() < LEAST_MEMORY);
    check.refuse_if(little, &at("memory"), "`memory` must be at least 16MiB");
    check.refuse_if(processes == Some(0), &at("processes"), "`processes` counts the agent too: it must be at least 1");
    let turning = cpu.is_none_or(|cpu| cpu.is_finite() && (0.01..=1024.0).contains(&cpu));
    check.refuse_if(!turning, &at("cpu"), "`cpu` is a number of processors: it must be from 0.01 to 1024");
    check.refuse_if(output.is_some_and(|size| size.bytes() == 0), &at("output"), "`output` must be more than zero");
    let few = open_files.is_some_and(|files| files < LEAST_OPEN_FILES);
    check.refuse_if(few, &at("open_files"), "`open_files` must be at least 16");
    let nothing = file_size.is_some_and(|size| size.bytes() == 0);
    check.refuse_if(nothing, &at("file_size"), "`file_size` must be more than zero");
}

fn sandbox(check: &mut Check<'_>, own: &[&str], sandbox: &Sandbox) {
    let at = |key: &'static str| [own, &["sandbox", key]].concat();
    if sandbox.level != Some(SandboxLevel::Container) {
        let message = "`image` is that of a container: it needs level = \"container\"";
        check.refuse_if(sandbox.image.is_some(), &at("image"), message);
        let message = "`minimum` is a container, which only level = \"container\" makes";
        check.refuse_if(sandbox.minimum == Some(SandboxTier::Container), &at("minimum"), message);
    }
    if let Network::Hosts(hosts) = &sandbox.network {
        check.hosts(hosts, &at("network"));
    }
    if sandbox.level == Some(SandboxLevel::None) {
        let open = [("minimum", sandbox.minimum.is_some()), ("network", sandbox.network != Network::Full)];
        for (key, _) in open.into_iter().filter(|(_, is_set)| *is_set) {
            let message = format!("`{key}` can't be kept by an agent that isn't confined (level = \"none\")");
            check.refuse_with(&at(key), message, Some("use level = \"confined\", or leave this out".to_owned()));
        }
    }
    for (key, paths) in [("read", &sandbox.read), ("write", &sandbox.write)] {
        for (index, path) in paths.iter().enumerate() {
            let reason = match path.as_str() {
                "/" | "~" | "~/" => "it is everything that a confined agent must not reach",
                path if !(path.starts_with('/') || path.starts_with("~/")) => "it must be absolute, or begin with ~/",
                path if path.split('/').any(|part| part == "..") => "it must not hold `..`",
                _ => continue,
            };
            let index = index.to_string();
            let message = format!("`{path}` can't be named here: {reason}");
            check.refuse(&[own, &["sandbox", key, &index]].concat(), message);
        }
    }
}

/// Every agent of a department of containers has an image to run in.
fn images(check: &mut Check<'_>, own: &[&str], department: &Department, specs: &Specs) {
    let sandbox = &department.sandbox;
    if sandbox.level != Some(SandboxLevel::Container) || sandbox.image.is_some() {
        return;
    }
    let without = department.agents.iter().find(|name| specs.get(name).is_none_or(|spec| spec.image.is_none()));
    if let Some(agent) = without {
        let message = format!("`{agent}` has no image to run in (level = \"container\")");
        let help = format!("set `image` here, or in [agents.{agent}] of nexus.toml");
        check.refuse_with(&[own, &["sandbox", "level"]].concat(), message, Some(help));
    }
}

fn triggers(check: &mut Check<'_>, own: &[&str], (name, department): (&DepartmentName, &Department), specs: &Specs) {
    for (index, trigger) in department.on.iter().enumerate() {
        let index = index.to_string();
        let at = |key: &'static str| [own, &["on", &*index, key]].concat();
        if let Err(reason) = subject::check(&trigger.subject) {
            check.refuse(&at("subject"), format!("`{}` can't be listened to: {reason}", trigger.subject));
        }
        check.refuse_if(trigger.description.trim().is_empty(), &at("description"), "a task needs a description");
        check.refuse_if(trigger.task_type.trim().is_empty(), &at("task_type"), "a task type can't be empty");
        if let Some(agent) = trigger.agent.as_ref().filter(|agent| !department.agents.contains(agent)) {
            let listed: Vec<&str> = department.agents.iter().map(|agent| agent.as_str()).collect();
            let message = format!("`{agent}` is not among this department's agents");
            let (message, help) = unknown(&message, agent.as_str(), &listed, '`');
            check.refuse_with(&at("agent"), message, help);
        } else if check.agents.is_some()
            && trigger.agent.is_none()
            && candidates(&department.agents, specs, &trigger.task_type).is_empty()
        {
            let refusal = nobody(name, department, specs, &trigger.task_type);
            let help = department
                .agents
                .first()
                .map(|agent| format!("name the agent: agent = \"{agent}\" runs the description as a command"));
            check.refuse_with(&at("subject"), format!("nobody would do this: {refusal}"), help);
        }
        if trigger::is_command(trigger, department, specs)
            && let Err(Fault { value, message, help }) = trigger::check(trigger, department, specs)
        {
            check.refuse_with(&at("description"), format!("`{value}` {message}"), Some(help));
        }
    }
}
