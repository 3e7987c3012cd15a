//! Opening a task's workspace, on the machine that has it: shell, path.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use nexus_core::department::WorkspaceMode;
use nexus_core::view::{Status, TaskView};
use nexus_process::{Command, attend};
use nexus_workspace::WorkspaceError;
use serde_json::json;

use super::branches::{failed, known, report, workspaces};
use crate::cli::{Output, PlaceArgs, ShellArgs};
use crate::exit::{Code, Exit};
use crate::show;

pub(super) async fn shell(place: &PlaceArgs, args: ShellArgs) -> Result<Code, Exit> {
    let task = known(place, &args.task).await?;
    let id = task.task_id;
    if task.status == Status::Running && !args.read_only {
        return Err(Exit::new(Code::Refused, format!("an attempt of task {id} works there now"))
            .with_help(format!("look at it with `nexus shell --read-only {id}`, or wait: nexus logs -f {id}")));
    }
    let workspaces = workspaces(place)?;
    let opened = workspaces.open(id, Path::new(&task.project_path), args.read_only).await;
    let opened = opened.map_err(|error| refused(&error, &task))?;
    let (path, overlay, settings) = match &opened {
        Some(opened) => (opened.path.clone(), opened.overlay.clone(), opened.settings.as_slice()),
        None if is_in_place(&task) => {
            let project = PathBuf::from(&task.project_path);
            let overlay = args.read_only.then(|| workspaces.for_reading(&project)).transpose();
            (project, overlay.map_err(|error| refused(&error, &task))?, Default::default())
        }
        None => return Err(not_there(&task)),
    };
    let mut words = args.command.into_iter();
    let program = words.next().unwrap_or_else(|| std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into()));
    let command = Command::new(&program, &path).args(words).env(std::env::vars_os()).env(git_settings(settings));
    for note in opened.iter().flat_map(|opened| &opened.notes) {
        show::note("warning", note);
    }
    if std::io::stderr().is_terminal() {
        let how = if args.read_only { "to be read only" } else { "exit to leave" };
        show::note("note", &format!("the workspace of task {id}, {how}"));
    }
    let claim = opened.as_ref().and_then(|opened| opened.claim.as_ref());
    let code = match &overlay {
        Some(overlay) => overlay.attend(&command, args.read_only, claim).await,
        None => attend(&command).await,
    };
    let code = code.map_err(|error| Exit::failure(error.to_string()))?;
    if let Some(opened) = opened {
        match workspaces.close(opened).await {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(branch))) => show::note("note", &format!("{branch} has your commits: nexus diff {id}")),
            Ok(Err(why)) => show::note("warning", &format!("your commits stay in the workspace: {why}")),
            Err(error) => show::note("warning", &format!("your commits stay in the workspace: {error}")),
        }
    }
    // The command's code, which need not be one of ours.
    std::process::exit(code)
}

/// Settings in the environment, which beat every file; behind those that are there already.
fn git_settings(settings: &[(OsString, OsString)]) -> Vec<(OsString, OsString)> {
    let there = std::env::var("GIT_CONFIG_COUNT").ok().and_then(|count| count.parse().ok()).unwrap_or(0);
    let mut variables: Vec<(OsString, OsString)> = Vec::with_capacity(settings.len() * 2 + 1);
    for (at, (key, value)) in (there..).zip(settings) {
        variables.push((format!("GIT_CONFIG_KEY_{at}").into(), key.clone()));
        variables.push((format!("GIT_CONFIG_VALUE_{at}").into(), value.clone()));
    }
    if !settings.is_empty() {
        variables.push(("GIT_CONFIG_COUNT".into(), (there + settings.len()).to_string().into()));
    }
    variables
}

pub(super) async fn path(place: &PlaceArgs, output: Output, task: &str) -> Result<Code, Exit> {
    let task = known(place, task).await?;
    let id = task.task_id;
    if task.status == Status::Running {
        return Err(Exit::new(Code::Refused, format!("an attempt of task {id} works there now"))
            .with_help(format!("look at it with `nexus shell --read-only {id}`, or wait: nexus logs -f {id}")));
    }
    let plain = workspaces(place)?.plain(id, Path::new(&task.project_path)).await;
    let path = match plain.map_err(|error| refused(&error, &task))? {
        Some(path) => path,
        None if is_in_place(&task) => task.project_path.clone().into(),
        None => return Err(not_there(&task)),
    };
    if output.is_json() {
        show::json(&json!({ "task_id": id, "path": path.to_string_lossy() }), output);
    } else {
        show::line(&path.to_string_lossy());
    }
    Ok(Code::Done)
}

fn is_in_place(task: &TaskView) -> bool {
    report(task).is_some_and(|report| report.mode == WorkspaceMode::InPlace) && Path::new(&task.project_path).is_dir()
}

fn refused(error: &WorkspaceError, task: &TaskView) -> Exit {
    let id = task.task_id;
    match error {
        WorkspaceError::InUse => failed(error).with_help(format!("meanwhile: nexus shell --read-only {id}")),
        WorkspaceError::NoLayers(_) => {
            failed(error).with_help(format!("nexus path {id} makes a plain directory of them"))
        }
        WorkspaceError::NoReading(_) => failed(error).with_help(format!(
            "nexus path {id} says where it is; without --read-only it is opened to be changed: nexus shell {id}"
        )),
        _ => failed(error),
    }
}

/// Says where the work is instead.
fn not_there(task: &TaskView) -> Exit {
    let id = task.task_id;
    let exit = Exit::new(Code::NotFound, format!("task {id} has no workspace on this machine"));
    match report(task) {
        Some(report) if !report.kept => match &report.branch {
            Some(branch) => exit.with_help(format!(
                "it was removed, since all of it is on the branch {branch}: nexus diff {id}, or git worktree add ../DIR {branch}"
            )),
            None => exit.with_help("it was removed, since nothing was changed in it"),
        },
        Some(_) => exit.with_help("it was cleaned up, or is on another machine"),
        None => exit.with_help("it works in the project itself or on another machine, or no attempt has begun yet"),
    }
}
