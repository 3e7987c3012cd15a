//! Runs git so that nothing of the user's is touched: no hooks, no questions, no background work, no inherited `GIT_*`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus_process::{CaptureError, Captured, Command, SpawnError, capture, user_environment};

use crate::error::WorkspaceError;

/// Checking out a big repository on a slow disk takes minutes.
const TIMEOUT: Duration = Duration::from_secs(600);
/// The names of about 100,000 changed files; only `git status` prints that much.
const LIMIT: usize = 16 * 1024 * 1024;

const SETTINGS: [&str; 8] =
    ["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false"];

/// git in one directory.
#[derive(Clone, Debug)]
pub(crate) struct Git {
    place: PathBuf,
    env: Vec<(&'static str, PathBuf)>,
}

impl Git {
    pub(crate) fn at(place: &Path) -> Self {
        Self { place: place.to_owned(), env: Vec::new() }
    }

    /// git with the repository of one place and the files of another, whose own repository is not looked at.
    pub(crate) fn between(repository: &Path, files: &Path, index: &Path) -> Self {
        let env = [("GIT_DIR", repository), ("GIT_WORK_TREE", files), ("GIT_INDEX_FILE", index)];
        Self { place: files.to_owned(), env: env.map(|(name, path)| (name, path.to_owned())).to_vec() }
    }

    /// Runs git, however it ends. `doing` completes the sentence "git could not ...".
    pub(crate) async fn run<A: Into<OsString>>(
        &self,
        doing: &'static str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Captured, WorkspaceError> {
        let command = Command::new("git", &self.place)
            .args(SETTINGS)
            .args(args)
            // `user_environment` passes no `GIT_*`, which would point git at another repository.
            .env(user_environment(&[]))
            .env([("GIT_TERMINAL_PROMPT", "0"), ("GIT_OPTIONAL_LOCKS", "0"), ("LC_ALL", "C")])
            .env(self.env.iter().cloned());
        capture(&command, TIMEOUT, LIMIT).await.map_err(|error| match error {
            CaptureError::Spawn(error @ SpawnError::NotInPath { .. }) => WorkspaceError::NoGit(error),
            source => WorkspaceError::GitRun { doing, place: self.place.clone(), source },
        })
    }

    /// Runs git, which has to succeed, and returns what it prints, without the last line end.
    pub(crate) async fn text<A: Into<OsString>>(
        &self,
        doing: &'static str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<String, WorkspaceError> {
        let captured = self.run(doing, args).await?;
        if captured.success() {
            Ok(String::from_utf8_lossy(&captured.stdout).trim_end_matches('\n').to_owned())
        } else {
            Err(self.refused(doing, &captured))
        }
    }

    pub(crate) fn refused(&self, doing: &'static str, captured: &Captured) -> WorkspaceError {
        let said = String::from_utf8_lossy(&captured.stderr);
        // Its last lines name the cause; before them may stand the progress of a checkout.
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let said = lines[lines.len().saturating_sub(3)..].join("; ");
        WorkspaceError::Git { doing, place: self.place.clone(), said }
    }
}
