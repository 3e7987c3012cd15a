//! The user's repository of a run, of which agents have clones: what must be in it at the end, and what must not have
//! changed.

use std::path::Path;
use std::process::Stdio;

use nexus_core::view::{Status, TaskView};

use crate::error::HarnessError;
use crate::mark::{Kind, Mark};
use crate::site::Site;
use crate::story::{Violation, Wrong};

/// The user's part of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Untouched(Vec<String>);

/// Makes it, with one commit.
pub(crate) fn make(site: &Site) -> Result<Untouched, HarnessError> {
    let place = site.repository();
    let io = HarnessError::io("the user's repository");
    std::fs::write(place.join("README"), "hello\n").map_err(HarnessError::io("the user's repository"))?;
    for args in [
        &["init", "--quiet", "-b", "main"][..],
        &["config", "user.name", "Chaos"],
        &["config", "user.email", "chaos@example.com"],
        &["config", "commit.gpgSign", "false"],
        &["add", "README"],
        &["commit", "--quiet", "--message", "first"],
    ] {
        if git(&place, args).is_none() {
            return Err(io(std::io::Error::other(format!("git {args:?}"))));
        }
    }
    Ok(look(&place))
}

/// Everything of the user's: HEAD, branches and tags, the settings, the files. The index is only looked at.
fn look(place: &Path) -> Untouched {
    let refs = git(place, &["for-each-ref"]).unwrap_or_default();
    let refs = refs.lines().filter(|line| !line.contains("refs/heads/nexus") && !line.contains("refs/nexus/"));
    let mut all: Vec<String> = refs.map(str::to_owned).collect();
    let read = |name: &str| format!("{name}: {:?}", std::fs::read(place.join(name)).ok());
    all.extend([".git/HEAD", ".git/config", ".git/FETCH_HEAD", ".git/logs/HEAD", ".git/index"].map(read));
    all.extend(git(place, &["status", "--porcelain", "--ignored"]));
    all.push(format!("{:?}", std::fs::read_dir(place.join(".git/hooks")).map(Iterator::count).ok()));
    Untouched(all)
}

/// The faults of it once the company has come to rest.
pub(crate) fn judge<'a>(
    site: &Site,
    before: &Untouched,
    marks: &[Mark],
    views: impl Iterator<Item = &'a TaskView>,
) -> Vec<Violation> {
    let place = site.repository();
    let mut found = Vec::new();
    let mut wrong = |task, what| found.push(Violation::new(Wrong::Repository, task, what));
    let after = look(&place);
    if after != *before {
        wrong(None, format!("it was {before:?}, and is {after:?}"));
    }
    for view in views.filter(|view| view.status == Status::Completed) {
        let ends = marks.iter().filter(|mark| mark.task == view.task_id && mark.kind == Kind::End(0));
        let commits: Vec<&String> = ends.filter_map(|mark| mark.commit.as_ref()).collect();
        if commits.is_empty() {
            continue;
        }
        let workspace = view.result.as_ref().and_then(|result| result.workspace.as_ref());
        let Some(branch) = workspace.and_then(|workspace| workspace.branch.as_ref()) else {
            wrong(
                Some(view.task_id),
                format!("{commits:?} were reported, and its result names no branch: {workspace:?}"),
            );
            continue;
        };
        let is_on =
            |id: &&String| git(&place, &["merge-base", "--is-ancestor", id, &format!("refs/heads/{branch}")]).is_some();
        if !commits.iter().any(is_on) {
            wrong(Some(view.task_id), format!("none of {commits:?} is on {branch}: {workspace:?}"));
        }
        let left = git(&place, &["cat-file", "-p", &format!("refs/heads/{branch}:left")]);
        if left.is_none() {
            wrong(Some(view.task_id), format!("what it left uncommitted is not on {branch}: {workspace:?}"));
        }
    }
    if git(&place, &["fsck", "--connectivity-only", "--no-dangling"]).is_none() {
        wrong(None, "git fsck finds it damaged".to_owned());
    }
    found
}

/// Layers of tasks that are over and whose result doesn't say that they are kept. One node's alone: another one may have
/// finished what this one began.
pub(crate) fn left_layers(site: &Site, views: &[&TaskView]) -> Vec<Violation> {
    let layers = std::fs::read_dir(site.data("a").join("layers")).into_iter().flatten().flatten();
    let names = layers.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_kept = |name: &String| {
        let view = views.iter().find(|view| view.task_id.to_string() == *name);
        let workspace = view.and_then(|view| view.result.as_ref()).and_then(|result| result.workspace.as_ref());
        view.is_some_and(|view| view.status != Status::Completed) || workspace.is_some_and(|workspace| workspace.kept)
    };
    let left = names.filter(|name| name.len() == 36 && !is_kept(name));
    left.map(|name| Violation::new(Wrong::Repository, name.parse().ok(), "its layers were left".to_owned())).collect()
}

/// Mounts of a run in any process's namespace, once its company is gone; the harness's own disk is one.
pub(crate) fn mounts(site: &Site) -> Vec<Violation> {
    let root = site.root().display().to_string();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut found = Vec::new();
    for process in processes {
        let text = std::fs::read_to_string(process.path().join("mountinfo")).unwrap_or_default();
        let ours = text.lines().find(|line| line.contains(&root) && line.contains(" overlay "));
        if let Some(mount) = ours {
            let what = format!("process {}: a mount was left: {mount}", process.file_name().to_string_lossy());
            found.push(Violation::new(Wrong::Repository, None, what));
        }
    }
    found
}

#[expect(clippy::disallowed_types, reason = "the user's own git")]
fn git(place: &Path, args: &[&str]) -> Option<String> {
    let mut command = std::process::Command::new("git");
    command.current_dir(place).args(args).stdin(Stdio::null()).env("GIT_OPTIONAL_LOCKS", "0");
    let output = command.output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
