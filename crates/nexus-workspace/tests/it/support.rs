//! A project, the workspaces beside it, and git as its user would run it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus_core::department::{Wanted, WorkspaceMode};
use nexus_core::id::TaskId;
use nexus_process::{Command, capture, user_environment};
use nexus_workspace::{Finish, Prepared, Workspaces};
use tempfile::TempDir;

pub(crate) struct Place {
    pub(crate) directory: TempDir,
    pub(crate) project: PathBuf,
    pub(crate) workspaces: Workspaces,
}

pub(crate) fn task() -> TaskId {
    TaskId::from_uuid(uuid::Uuid::now_v7())
}

impl Place {
    /// A project directory that is no repository.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let project = directory.path().canonicalize().unwrap().join("project");
        std::fs::create_dir(&project).unwrap();
        let workspaces = Workspaces::new(directory.path().join("data/workspaces"));
        Self { directory, project, workspaces }
    }

    /// A repository with one commit: `README` and `sub/file`.
    pub(crate) async fn repository() -> Self {
        let place = Self::new();
        place.write("README", "hello\n");
        std::fs::create_dir(place.project.join("sub")).unwrap();
        place.write("sub/file", "file\n");
        git(&place.project, &["init", "-q", "-b", "main"]).await;
        git(&place.project, &["add", "."]).await;
        git(&place.project, &["commit", "-q", "-m", "first"]).await;
        place
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.project.join(name), text).unwrap();
    }

    pub(crate) async fn prepare(&self, mode: WorkspaceMode, task: TaskId) -> Prepared {
        self.workspaces.prepare(wanted(mode), task, &self.project, false).await.unwrap()
    }

    /// The number of entries in the workspaces' directory.
    pub(crate) fn left(&self) -> usize {
        std::fs::read_dir(self.directory.path().join("data/workspaces")).map_or(0, Iterator::count)
    }
}

/// Runs git with a name to commit under; returns what it prints.
pub(crate) async fn git(directory: &Path, args: &[&str]) -> String {
    let command = Command::new("git", directory)
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.com"])
        .args(args)
        .env(user_environment(&[]));
    let captured = capture(&command, Duration::from_secs(30), 1 << 20).await.unwrap();
    assert!(captured.success(), "git {args:?}: {}", String::from_utf8_lossy(&captured.stderr));
    String::from_utf8(captured.stdout).unwrap().trim().to_owned()
}

/// A mode, and a copy where that can't be.
pub(crate) fn wanted(mode: WorkspaceMode) -> Wanted {
    Wanted { mode, otherwise: WorkspaceMode::Copy, include_uncommitted: false }
}

/// A task that is completed, whose leftovers are committed.
pub(crate) fn completed() -> Finish {
    Finish::Completed { commit: Some("What the agent has left\n\nNexus-Task: it\n".to_owned()) }
}

/// Writes a program that leaves a sign that it was run.
pub(crate) fn canary(place: &Place) -> (PathBuf, String) {
    let sign = place.directory.path().join("run");
    let script = place.directory.path().join("canary");
    std::fs::write(&script, format!("#!/bin/sh\necho $0 >> {}\ncat\n", sign.display())).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    (sign, script.display().to_string())
}
