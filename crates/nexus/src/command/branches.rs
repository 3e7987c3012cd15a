//! The results of a task, on the machine that has its project: diff, apply, clean.

use std::path::Path;

use nexus_bus::Client;
use nexus_config::ApplyMethod;
use nexus_core::api::ListRequest;
use nexus_core::department::WorkspaceMode;
use nexus_core::event::WorkspaceReport;
use nexus_core::view::TaskView;
use nexus_workspace::{How, Method, NotApplied, Patch, Stock, WorkspaceError, Workspaces};
use serde_json::json;

use crate::cli::{ApplyArgs, Output, PlaceArgs};
use crate::company::source;
use crate::exit::{Code, Exit};
use crate::looking::{self, look};
use crate::{place, show};

pub(super) fn workspaces(place: &PlaceArgs) -> Result<Workspaces, Exit> {
    Ok(Workspaces::new(place::data_dir(place)?.join("workspaces")))
}

/// What is known of a task, whether or not a company is up.
pub(super) async fn known(place: &PlaceArgs, task: &str) -> Result<TaskView, Exit> {
    look(place, async |client, _| Ok(client.status(&looking::named(client, task).await?).await?.task)).await
}

/// The workspace's report of the latest attempt that has ended.
pub(super) fn report(task: &TaskView) -> Option<&WorkspaceReport> {
    task.result.as_ref()?.workspace.as_deref()
}

fn base(task: &TaskView) -> Option<&str> {
    report(task)?.base.as_deref()
}

pub(super) fn failed(error: &WorkspaceError) -> Exit {
    let code = match error {
        WorkspaceError::NoProject(_) => Code::NotFound,
        WorkspaceError::Busy(_)
        | WorkspaceError::InUse
        | WorkspaceError::Locked { .. }
        | WorkspaceError::Ownership { .. }
        | WorkspaceError::Bare { .. }
        | WorkspaceError::Astray { .. } => Code::Refused,
        _ => Code::Failure,
    };
    let exit = Exit::new(code, error.to_string());
    if code == Code::NotFound { exit.with_help("give this command on the machine that has the project") } else { exit }
}

pub(super) async fn diff(place: &PlaceArgs, output: Output, task: &str, stat: bool) -> Result<Code, Exit> {
    let task = known(place, task).await?;
    let head = report(&task).and_then(|report| report.head.as_deref());
    let project = Path::new(&task.project_path);
    let patch = workspaces(place)?.diff(task.task_id, project, base(&task), head, stat).await;
    let Some(patch) = patch.map_err(|error| failed(&error))? else { return nothing(&task, output) };
    if output.is_json() {
        let Patch { text, base, head, diff, uncommitted, left_out } = patch;
        let answer = json!({
            "task_id": task.task_id, "base": base, "head": head, "diff": diff, "uncommitted_files": uncommitted,
            "left_out": left_out, "patch": String::from_utf8_lossy(&text),
        });
        show::json(&answer, output);
        return Ok(Code::Done);
    }
    show::patch(&patch.text);
    match patch.uncommitted {
        0 => {}
        1 => show::note("note", "1 file of it is not committed"),
        files => show::note("note", &format!("{files} files of it are not committed")),
    }
    if let Some(reason) = patch.left_out {
        show::note("note", &format!("its workspace has more that is not shown: {reason}"));
    }
    Ok(Code::Done)
}

/// There is neither a branch nor a workspace that could be compared.
fn nothing(task: &TaskView, output: Output) -> Result<Code, Exit> {
    let report = report(task);
    if report.is_some_and(|report| report.commit_count == Some(0)) {
        if output.is_json() {
            show::json(&json!({ "task_id": task.task_id, "patch": "" }), output);
        } else {
            show::note("note", "the task has changed nothing");
        }
        return Ok(Code::Done);
    }
    let exit = Exit::new(Code::NotFound, "the task has no branch and no workspace that could be compared");
    let project = &task.project_path;
    Err(match report.map(|report| (report.mode, &report.path)) {
        Some((WorkspaceMode::InPlace, _)) => {
            exit.with_help(format!("it worked in {project} itself: look there, as with `git diff`"))
        }
        Some((WorkspaceMode::Copy, path)) => {
            exit.with_help(format!("it worked on a copy, without git: diff -ru {project} {path}"))
        }
        Some((WorkspaceMode::Scratch, path)) => exit.with_help(format!("it worked in an empty directory: {path}")),
        _ => exit.with_help("its branch was deleted, or it works on another machine"),
    })
}

pub(super) async fn apply(place: &PlaceArgs, output: Output, args: ApplyArgs) -> Result<Code, Exit> {
    let configured = nexus_config::load(&source(place, None)).map_err(Exit::config)?.settings.apply.method;
    let method = match (args.merge, args.rebase, configured) {
        (true, ..) | (_, false, ApplyMethod::Merge) => Method::Merge,
        (_, true, _) | (_, _, ApplyMethod::Rebase) => Method::Rebase,
    };
    let task = known(place, &args.task).await?;
    let id = task.task_id;
    if !task.status.is_terminal() {
        return Err(Exit::new(Code::Refused, format!("task {id} is {}: it has no result yet", task.status.as_str()))
            .with_help(format!("wait for its end (nexus logs -f {id}), or cancel it (nexus cancel {id})")));
    }
    let applied = workspaces(place)?.apply(id, Path::new(&task.project_path), base(&task), method).await;
    let applied = applied.map_err(|refused| not_applied(&task, refused))?;
    let how = match applied.how {
        How::Already => "already",
        How::FastForward => "fast_forward",
        How::Merged => "merge",
        How::Rebased => "rebase",
    };
    if output.is_json() {
        let answer = json!({
            "task_id": id, "how": how, "branch": applied.branch, "into": applied.into, "from": applied.from,
            "to": applied.to, "diff": applied.diff,
        });
        show::json(&answer, output);
    } else if applied.how == How::Already {
        show::line(&format!("nothing to do: {} has all of {}", applied.into, applied.branch));
    } else {
        let how = how.replace('_', "-");
        show::line(&format!("applied  {} to {} ({how}): {}", applied.branch, applied.into, show::diff(applied.diff)));
    }
    if let Some(report) = report(&task).filter(|report| report.kept && report.changed_files != Some(0)) {
        let workspace = if report.layered { format!("its workspace (nexus shell {id})") } else { report.path.clone() };
        show::note("note", &format!("what is not committed in {workspace} is not applied"));
    }
    Ok(Code::Done)
}

/// Why there is no branch, as far as the task's result tells.
fn no_branch(task: &TaskView, branch: &str, refused: &NotApplied) -> Exit {
    let id = task.task_id;
    match report(task) {
        Some(WorkspaceReport { kept: true, reason: Some(reason), .. }) => {
            Exit::new(Code::Refused, format!("there is no branch {branch} in the project's repository: {reason}"))
                .with_help(format!(
                    "its workspace is kept: nexus diff {id} shows what is in it, nexus shell {id} opens it"
                ))
        }
        Some(WorkspaceReport { kept: false, commit_count: Some(0), .. }) => {
            Exit::new(Code::NotFound, "the task changed nothing: there is nothing to apply".to_owned())
                .with_help(format!("nexus logs {id} shows what it did"))
        }
        _ => {
            Exit::new(Code::NotFound, refused.to_string()).with_help(format!("nexus status {id} says what it has left"))
        }
    }
}

fn not_applied(task: &TaskView, refused: NotApplied) -> Exit {
    let id = task.task_id;
    let refuse = |error: &NotApplied, help: String| Exit::new(Code::Refused, error.to_string()).with_help(help);
    match &refused {
        NotApplied::Workspace(error) => failed(error),
        NotApplied::NoBranch(branch) => no_branch(task, branch, &refused),
        NotApplied::NoRepository(_) => refuse(&refused, format!("nexus status {id} says where its work is")),
        NotApplied::Detached { top, .. } => {
            refuse(&refused, format!("nothing was changed; go to one: git -C {} switch BRANCH", top.display()))
        }
        NotApplied::HalfDone(top) => {
            refuse(&refused, format!("nothing was changed; finish it first: git -C {} status", top.display()))
        }
        NotApplied::InTheWay { top, .. } => refuse(
            &refused,
            format!(
                "nothing was changed; commit them, or put them aside (git -C {} stash -u), and try again",
                top.display()
            ),
        ),
        NotApplied::Inseparable { top, .. } => refuse(
            &refused,
            format!("nothing was changed; commit your changes first (git -C {} commit), and try again", top.display()),
        ),
        NotApplied::Locked(lock) => refuse(
            &refused,
            format!("nothing was changed; try again, or remove {} if no git process is left", lock.display()),
        ),
        NotApplied::Conflicts { branch, .. } => refuse(
            &refused,
            format!(
                "nothing was changed; merge it by hand (git merge {branch}), or delegate it: `nexus diff {id}` shows it"
            ),
        ),
    }
}

pub(super) async fn clean(place: &PlaceArgs, output: Output, named: &[String], rehearsal: bool) -> Result<Code, Exit> {
    look(place, async |client, _| clean_with(client, place, output, named, rehearsal).await).await
}

async fn clean_with(
    client: &Client,
    place: &PlaceArgs,
    output: Output,
    named: &[String],
    rehearsal: bool,
) -> Result<Code, Exit> {
    let workspaces = workspaces(place)?;
    let mut tasks = Vec::new();
    let mut request = ListRequest { limit: Some(200), ..ListRequest::default() };
    for task in named {
        tasks.push(client.status(&looking::named(client, task).await?).await?.task);
    }
    while named.is_empty() {
        let page = client.list(&request).await?;
        // Of others there is nothing left.
        let left = |task: &TaskView| {
            workspaces.has(task.task_id) || report(task).is_some_and(|report| report.branch.is_some())
        };
        tasks.extend(page.tasks.into_iter().filter(left));
        request.cursor = page.next_cursor;
        if request.cursor.is_none() {
            break;
        }
    }
    let mut done = Vec::new();
    for task in &tasks {
        let id = task.task_id;
        let sweep = match workspaces.sweep(id, Path::new(&task.project_path)).await {
            Ok(sweep) => sweep,
            // The other tasks' repositories may be sound.
            Err(error) => {
                done.push(json!({ "task_id": id, "kept": error.to_string() }));
                continue;
            }
        };
        // Asked for again: no attempt begins from here on.
        let now = client.status(&id.to_string()).await?.task;
        if !now.status.is_terminal() {
            done.push(json!({ "task_id": id, "kept": format!("the task is {}", now.status.as_str()) }));
            continue;
        }
        done.push(match sweep.clean(base(&now), rehearsal).await {
            Ok(cleaned) => {
                let part = |left: Option<nexus_workspace::Left>| {
                    left.map(|left| json!({ "name": left.name, "removed": left.removed, "reason": left.reason }))
                };
                json!({ "task_id": id, "workspace": part(cleaned.workspace), "branch": part(cleaned.branch) })
            }
            Err(error) => json!({ "task_id": id, "kept": error.to_string() }),
        });
    }
    let known = |id| tasks.iter().any(|task| task.task_id == id);
    for id in workspaces.tasks().into_iter().filter(|id| named.is_empty() && !known(*id)) {
        done.push(json!({ "task_id": id, "kept": "the company knows no such task (any more)" }));
    }
    // Who names tasks is not asking about what all tasks share.
    let tidied = if named.is_empty() { Some(tidy(workspaces, rehearsal).await?) } else { None };
    if output.is_json() {
        let checkouts = tidied.map(|(removed, left)| {
            let bytes = (removed.bytes, left.bytes);
            json!({ "removed": removed.checkouts, "removed_bytes": bytes.0, "left": left.checkouts, "left_bytes": bytes.1 })
        });
        show::json(&json!({ "dry_run": rehearsal, "tasks": done, "checkouts": checkouts }), output);
    } else {
        show::cleaned(&done, tidied, rehearsal);
    }
    Ok(Code::Done)
}

/// Removes the prepared checkouts that nobody uses; returns what went, or would go, and what is left.
async fn tidy(workspaces: Workspaces, rehearsal: bool) -> Result<(Stock, Stock), Exit> {
    let tidied = tokio::task::spawn_blocking(move || {
        let removed = if rehearsal { workspaces.rehearse_tidying(true) } else { workspaces.tidy(true) }?;
        let there = workspaces.stock();
        let gone = if rehearsal { removed } else { Stock::default() };
        // Others remove and make some meanwhile.
        let checkouts = there.checkouts.saturating_sub(gone.checkouts);
        let left = Stock { checkouts, bytes: there.bytes.saturating_sub(gone.bytes) };
        Ok((removed, left))
    });
    let tidied = tidied.await.map_err(std::io::Error::other).and_then(|tidied: std::io::Result<_>| tidied);
    tidied.map_err(|error| Exit::failure(format!("prepared checkouts could not be removed: {error}")))
}
