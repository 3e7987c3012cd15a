//! The prompt of an agent: its department's role, filled in, and the task.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use minijinja::{Environment, UndefinedBehavior, context};
use nexus_core::agent::AgentSpec;
use nexus_core::department::Department;
use nexus_core::event::{Failure, FailureKind};
use nexus_core::id::DepartmentName;
use nexus_core::task::Task;
use nexus_core::uncommitted::Uncommitted;

/// Where an attempt finds itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting<'a> {
    /// As the agent sees it.
    pub(super) workspace: &'a Path,
    pub(super) branch: Option<&'a str>,
    /// All of the company's.
    pub(super) departments: &'a BTreeMap<DepartmentName, Arc<Department>>,
    /// The latest messages to the department, the oldest first, each as an item of a list.
    pub(super) messages: &'a [String],
    /// The user's uncommitted changes, which its workspace lacks or starts from.
    pub(super) uncommitted: Option<&'a Uncommitted>,
}

/// The prompt of one attempt. An agent that takes no role gets the task's description and nothing else.
pub(super) fn compose(
    agent: &AgentSpec,
    policy: &Department,
    task: &Task,
    setting: &Setting<'_>,
) -> Result<String, Failure> {
    if !agent.takes_role() {
        return Ok(task.description.clone());
    }
    let mut prompt = match policy.role.as_deref() {
        Some(role) => fill(role, policy, task, setting)?.trim().to_owned(),
        None => String::new(),
    };
    if prompt.is_empty() {
        prompt.clone_from(&task.description);
    } else {
        // After the role, so that nothing in a task can pass for it unseen.
        let _ = write!(prompt, "\n\n---\n\n# Your task\n\n{}", task.description);
    }
    if let Some(context) = task.context.as_ref().filter(|context| !context.is_empty()) {
        let json = serde_json::to_string_pretty(context).unwrap_or_default();
        let _ = write!(prompt, "\n\n# Context\n\n```json\n{json}\n```");
    }
    if let Some(uncommitted) = setting.uncommitted {
        let _ = write!(prompt, "\n\n{}", uncommitted.prompt_line());
    }
    Ok(prompt)
}

fn fill(role: &str, policy: &Department, task: &Task, setting: &Setting<'_>) -> Result<String, Failure> {
    let others = setting.departments.iter().filter(|(name, _)| **name != task.department);
    let departments: Vec<_> = others.map(|(name, other)| format!("- {name}: {}", other.description)).collect();
    let mut environment = Environment::new();
    // The configuration's check knows the same names; nothing is left out silently.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let filled = environment.render_str(
        role,
        context! {
            department => task.department.as_str(),
            description => policy.description.as_str(),
            task_type => task.task_type.as_str(),
            workspace => setting.workspace.display().to_string(),
            branch => setting.branch.unwrap_or_default(),
            departments => departments.join("\n"),
            messages => setting.messages.join("\n"),
        },
    );
    filled.map_err(|error| Failure {
        kind: FailureKind::Spawn,
        message: format!("the role of {} can't be filled in: {error:#}", task.department),
    })
}

#[cfg(test)]
mod tests;
