//! The uncommitted changes of a task's project: said to whoever has delegated it, who may take them to be seen.

use std::path::Path;

use nexus_core::api::ProjectChanges;
use nexus_core::company::Company;
use nexus_core::id::TaskId;
use nexus_core::refusal::Refusal;

use super::overview::find;
use crate::node::Node;

/// Looks at them, where the task's agent will work in a clone or a worktree.
pub(super) async fn look(node: &Node, company: &Company, task: &str) -> Result<ProjectChanges, Refusal> {
    let id: TaskId = match task.parse() {
        Ok(id) => id,
        Err(_) => find(node, task).await?.task_id,
    };
    let task = node.bus.known(id).await?.ok_or_else(|| Refusal::not_found(&id.to_string()))?;
    let policy = company.departments.get(&task.department);
    // What can't be protected as it has to be isn't run at all.
    let plan = policy.and_then(|policy| Some((policy, node.protector.plan(policy).ok()?)));
    let uncommitted = match plan {
        Some((policy, plan)) => {
            let wanted = policy.workspace.wanted(plan.sandbox.is_some()).for_task(task.include_uncommitted);
            node.workspaces.uncommitted(wanted, id, Path::new(&task.project_path)).await
        }
        None => None,
    };
    Ok(ProjectChanges { task_id: id, project_path: task.project_path, uncommitted })
}
