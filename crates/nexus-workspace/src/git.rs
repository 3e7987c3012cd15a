//! Runs git so that nothing of the user's is touched: no hooks, no questions, no background work, no inherited `GIT_*`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus_process::{CaptureError, Captured, Command, SpawnError, Stdin, capture, user_environment};

use crate::error::WorkspaceError;

/// Checking out a big repository on a slow disk takes minutes.
const TIMEOUT: Duration = Duration::from_secs(600);
/// Looking at files, and at what is in a repository, does not.
const BRIEF: Duration = Duration::from_secs(60);
/// The names of about 100,000 changed files; only a list of these prints that much, and a patch.
const LIMIT: usize = 16 * 1024 * 1024;
/// Tries beside the first when somebody else's git holds a lock: some three seconds, all together.
const AGAIN: u32 = 6;

const SETTINGS: [&str; 14] = [
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    // Locks of refs that others hold are waited for (milliseconds): git gives up after a tenth of a second.
    "-c",
    "core.filesRefLockTimeout=10000",
    "-c",
    "core.packedRefsTimeout=10000",
    "-c",
    "i18n.logOutputEncoding=UTF-8",
];

/// git in one directory.
#[derive(Clone, Debug)]
pub(crate) struct Git {
    place: PathBuf,
    env: Vec<(OsString, OsString)>,
    limit: usize,
    timeout: Duration,
}

impl Git {
    pub(crate) fn at(place: &Path) -> Self {
        Self { place: place.to_owned(), env: Vec::new(), limit: LIMIT, timeout: TIMEOUT }
    }

    /// git with the repository of one place and the files of another, whose own repository is not looked at.
    pub(crate) fn between(repository: &Path, files: &Path) -> Self {
        Self::at(files).env("GIT_DIR", repository).env("GIT_WORK_TREE", files)
    }

    #[must_use]
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// With an index of our own.
    #[must_use]
    pub(crate) fn index(self, index: &Path) -> Self {
        self.env("GIT_INDEX_FILE", index)
    }

    /// With more settings, whose names may hold any character.
    #[must_use]
    pub(crate) fn settings(mut self, settings: &[(String, String)]) -> Self {
        for (at, (key, value)) in settings.iter().enumerate() {
            self = self.env(&format!("GIT_CONFIG_KEY_{at}"), key).env(&format!("GIT_CONFIG_VALUE_{at}"), value);
        }
        self.env("GIT_CONFIG_COUNT", settings.len().to_string())
    }

    /// With so much to print at most.
    #[must_use]
    pub(crate) const fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// With less time, for what an agent has had in hand: it may be made to take long.
    #[must_use]
    pub(crate) const fn brief(mut self) -> Self {
        self.timeout = BRIEF;
        self
    }

    /// Runs git, however it ends. `doing` completes the sentence "git could not ...".
    pub(crate) async fn run<A: Into<OsString>>(
        &self,
        doing: &'static str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Captured, WorkspaceError> {
        self.feed(doing, args, Vec::new()).await
    }

    /// The same, with something to read on its standard input.
    pub(crate) async fn feed<A: Into<OsString>>(
        &self,
        doing: &'static str,
        args: impl IntoIterator<Item = A>,
        input: Vec<u8>,
    ) -> Result<Captured, WorkspaceError> {
        let stdin = if input.is_empty() { Stdin::Closed } else { Stdin::Bytes(input.into()) };
        let command = Command::new("git", &self.place)
            .args(SETTINGS)
            .args(args)
            // `user_environment` passes no `GIT_*`, which would point git at another repository.
            .env(user_environment(&[]))
            .env([("GIT_TERMINAL_PROMPT", "0"), ("GIT_OPTIONAL_LOCKS", "0"), ("LC_ALL", "C")])
            .env(self.env.iter().cloned())
            .stdin(stdin);
        let mut tried = 0;
        loop {
            let captured = capture(&command, self.timeout, self.limit).await.map_err(|error| match error {
                CaptureError::Spawn(error @ SpawnError::NotInPath { .. }) => WorkspaceError::NoGit(error),
                source => WorkspaceError::GitRun { doing, place: self.place.clone(), source },
            })?;
            if captured.success() || tried == AGAIN || !is_locked(&captured.stderr) {
                return Ok(captured);
            }
            tokio::time::sleep(Duration::from_millis(50 << tried)).await;
            tried += 1;
        }
    }

    /// Runs git, which has to succeed, and returns what it prints, without the last line end.
    pub(crate) async fn text<A: Into<OsString>>(
        &self,
        doing: &'static str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<String, WorkspaceError> {
        self.fed(doing, args, Vec::new()).await
    }

    /// The same, with something to read on its standard input.
    pub(crate) async fn fed<A: Into<OsString>>(
        &self,
        doing: &'static str,
        args: impl IntoIterator<Item = A>,
        input: Vec<u8>,
    ) -> Result<String, WorkspaceError> {
        let captured = self.feed(doing, args, input).await?;
        if captured.success() {
            Ok(String::from_utf8_lossy(&captured.stdout).trim_end_matches('\n').to_owned())
        } else {
            Err(self.refused(doing, &captured))
        }
    }

    /// Runs git, which has to succeed, and returns the entries of a list that it prints with `-z`.
    pub(crate) async fn list<A: Into<OsString>>(
        &self,
        doing: &'static str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Vec<Vec<u8>>, WorkspaceError> {
        let captured = self.run(doing, args).await?;
        if captured.success() { Ok(entries(&captured.stdout)) } else { Err(self.refused(doing, &captured)) }
    }

    pub(crate) fn refused(&self, doing: &'static str, captured: &Captured) -> WorkspaceError {
        let said = String::from_utf8_lossy(&captured.stderr);
        // Its last lines name the cause; before them may stand the progress of a checkout.
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let said = lines[lines.len().saturating_sub(3)..].join("; ");
        WorkspaceError::Git { doing, place: self.place.clone(), said }
    }
}

/// The entries of what git prints with `-z`.
pub(crate) fn entries(printed: &[u8]) -> Vec<Vec<u8>> {
    printed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()).map(<[u8]>::to_vec).collect()
}

/// Somebody else's git is at work in the repository, for a moment.
fn is_locked(said: &[u8]) -> bool {
    let said = String::from_utf8_lossy(said);
    said.contains(".lock': File exists") || said.contains("could not lock config file")
}

#[cfg(test)]
mod tests {
    use super::is_locked;

    #[test]
    fn what_passes_by_itself() {
        let table = [
            ("fatal: Unable to create '/p/.git/index.lock': File exists.", true),
            ("error: could not lock config file .git/config: File exists", true),
            ("fatal: cannot lock ref 'refs/heads/a': is at 1 but expected 2", false),
            ("fatal: Unable to create '/p/.git/index.lock': Permission denied", false),
        ];
        for (said, passes) in table {
            assert_eq!(is_locked(said.as_bytes()), passes, "{said}");
        }
    }
}
