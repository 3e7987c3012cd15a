//! Work that goes in: delegate, run (delegate and wait) and retry.

use std::path::{Path, absolute};

use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::task::Submission;
use nexus_core::uncommitted::ANSWER_LIMIT;
use nexus_core::view::Status;
use rmcp::RoleServer;
use rmcp::model::CallToolResult;
use rmcp::service::RequestContext;

use super::value;
use crate::answer::{Delegated, TaskAnswer};
use crate::args::{Delegate, OneTask};
use crate::fault::{Fault, error};
use crate::progress::report;
use crate::server::Server;

pub(super) async fn delegate(server: &Server, args: Delegate) -> Result<Delegated, Fault> {
    let mut submission = submission(args, server.directory.as_ref().map(|path| path.as_path()))?;
    submission.parent_task_id = server.scope.as_ref().map(|scope| scope.task);
    let accepted = server.client.submit(&submission).await?;
    let changes = match accepted.duplicate {
        true => None,
        false => server.client.uncommitted(accepted.task_id, ANSWER_LIMIT).await,
    };
    Ok(Delegated::new(accepted, "Task delegated successfully").with_changes(changes))
}

/// Delegates and waits. A task that fails or is cancelled is an error whose text is the task.
pub(super) async fn run(
    server: &Server,
    args: Delegate,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResult, Fault> {
    let Ok(_place) = server.waits.try_acquire() else {
        return Err(Refusal::new(RefusalKind::Busy, "too many calls wait for tasks already")
            .with_help("use cde_delegateTask, and ask cde_getTaskStatus for the result")
            .into());
    };
    let Delegated { task_id: task, uncommitted, .. } = delegate(server, args).await?;
    let id = task.to_string();
    let ended = tokio::select! {
        ended = server.client.wait(&id, None) => ended,
        () = context.ct.cancelled() => Err(Refusal::new(RefusalKind::TimedOut, "the waiting was given up")
            .with_help("the task goes on; ask cde_getTaskStatus for it")),
        never = report(&server.client, task, context) => match never {},
    };
    let ended = ended.map_err(|refusal| Fault::about(&id, &refusal))?;
    let completed = ended.task.status == Status::Completed;
    let answer = value(&TaskAnswer::from(ended).with_changes(uncommitted))?;
    Ok(if completed { CallToolResult::structured(answer) } else { error(&answer) })
}

pub(super) async fn retry(server: &Server, args: OneTask) -> Result<Delegated, Fault> {
    let about = |refusal| Fault::about(&args.task_id, &refusal);
    let task = server.known(&args.task_id).await.map_err(about)?;
    let accepted = server.client.retry(&task).await.map_err(about)?;
    Ok(Delegated::new(accepted, "Task put back on the queue"))
}

fn submission(args: Delegate, directory: Option<&Path>) -> Result<Submission, Fault> {
    let mut submission = Submission::new(args.task_description);
    if let Some(task_type) = args.task_type {
        submission.task_type = task_type;
    }
    if let Some(path) = args.project_path {
        submission.project_path = path;
    }
    if let Some(directory) = directory {
        submission.project_path = located(directory, &submission.project_path)?;
    }
    submission.context = args.context;
    submission.preferred_agent = args.preferred_agent;
    submission.department = args.department;
    submission.priority = args.priority.unwrap_or_default();
    submission.idempotency_key = args.idempotency_key;
    submission.timeout_seconds = args.timeout_seconds;
    submission.max_attempts = args.max_attempts;
    submission.not_before = args.not_before;
    submission.include_uncommitted = args.include_uncommitted;
    Ok(submission)
}

fn located(directory: &Path, path: &str) -> Result<String, Fault> {
    // An empty path names nothing: the company says so better than the working directory would.
    if path.is_empty() {
        return Ok(String::new());
    }
    let found = absolute(directory.join(path)).ok().and_then(|path| path.to_str().map(str::to_owned));
    found.ok_or_else(|| {
        let message =
            format!("the argument \"project_path\" is not right: {path:?} can't be made absolute as UTF-8 text");
        Fault::argument("project_path", &message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::read;
    use serde_json::json;

    fn submitted(arguments: serde_json::Value, directory: Option<&str>) -> Submission {
        let args = read(arguments.as_object().cloned().unwrap()).unwrap();
        submission(args, directory.map(Path::new)).unwrap()
    }

    #[test]
    fn defaults_are_the_companys() {
        assert_eq!(submitted(json!({ "task_description": "x" }), None), Submission::new("x"));
    }

    #[test]
    #[cfg(unix)]
    fn relative_paths_are_taken_from_the_clients_directory() {
        for (given, expected) in [
            (json!({ "task_description": "x" }), "/home/me"),
            (json!({ "task_description": "x", "project_path": "." }), "/home/me"),
            (json!({ "task_description": "x", "project_path": "./a/b" }), "/home/me/a/b"),
            (json!({ "task_description": "x", "project_path": "/srv" }), "/srv"),
            (json!({ "task_description": "x", "project_path": "" }), ""),
        ] {
            assert_eq!(submitted(given, Some("/home/me")).project_path, expected);
        }
        let given = json!({ "task_description": "x", "project_path": "a" });
        assert_eq!(submitted(given, None).project_path, "a");
    }
}
