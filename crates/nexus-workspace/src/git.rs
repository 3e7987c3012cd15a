//! Runs git so that nothing of the user's is touched and nothing that a repository names is run: no hooks, no questions, no
//! background work, no network, no inherited `GIT_*`.

mod message;
mod shield;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus_process::{CaptureError, Captured, Command, SpawnError, Stdin, capture};

use crate::error::WorkspaceError;

pub(crate) use message::{Complaint, complaint, is_locked};
pub(crate) use shield::Shield;

/// Checking out a big repository on a slow disk takes minutes.
const TIMEOUT: Duration = Duration::from_secs(600);
/// Looking at files, and at what is in a repository, does not.
const BRIEF: Duration = Duration::from_secs(60);
/// The names of about 100,000 changed files; only a list of these prints that much, and a patch.
const LIMIT: usize = 16 * 1024 * 1024;
/// Tries beside the first when somebody else's git holds a lock: some three seconds, all together.
const AGAIN: u32 = 6;

/// git in one directory.
#[derive(Clone, Debug)]
pub(crate) struct Git {
    place: PathBuf,
    env: Vec<(OsString, OsString)>,
    settings: Vec<(OsString, OsString)>,
    limit: usize,
    timeout: Duration,
}

impl Git {
    pub(crate) fn at(place: &Path) -> Self {
        Self { place: place.to_owned(), env: Vec::new(), settings: Vec::new(), limit: LIMIT, timeout: TIMEOUT }
    }

    /// git with the repository of one place and the files of another, whose own repository is not looked at.
    pub(crate) fn between(repository: &Path, files: &Path) -> Self {
        Self::at(files).env("GIT_DIR", repository).env("GIT_WORK_TREE", files)
    }

    /// Where it runs.
    pub(crate) fn place(&self) -> &Path {
        &self.place
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

    /// With more settings, whose names may hold any character. Later ones win.
    #[must_use]
    pub(crate) fn settings<S: AsRef<OsStr>>(mut self, settings: &[(S, S)]) -> Self {
        let owned = |(key, value): &(S, S)| (key.as_ref().to_owned(), value.as_ref().to_owned());
        self.settings.extend(settings.iter().map(owned));
        self
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

    /// A name for the repository at `path` to give to `fetch` and `ls-remote`. A path itself could be rewritten by the
    /// configuration (`url.*.insteadOf`, `remote.*.url`), which can't foresee this name.
    pub(crate) fn remote(self, path: &Path) -> (Self, OsString) {
        // A setting's name holds no line end. Such a path is given as it is.
        if path.as_os_str().as_encoded_bytes().contains(&b'\n') {
            return (self, path.as_os_str().to_owned());
        }
        let alias = shield::unforeseen();
        let mut key = OsString::from("url.");
        key.push(path);
        key.push(".insteadOf");
        let alias = OsString::from(alias);
        (self.settings(&[(key, alias.clone())]), alias)
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
        let command = Command::new(shield::program(), &self.place)
            .args(shield::SETTINGS.iter().flat_map(|setting| ["-c", setting]))
            .args(args)
            .env(shield::environment())
            .env(self.settings_env())
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

    fn settings_env(&self) -> Vec<(OsString, OsString)> {
        let mut env = Vec::with_capacity(self.settings.len() * 2 + 1);
        for (at, (key, value)) in self.settings.iter().enumerate() {
            env.push((format!("GIT_CONFIG_KEY_{at}").into(), key.clone()));
            env.push((format!("GIT_CONFIG_VALUE_{at}").into(), value.clone()));
        }
        env.push(("GIT_CONFIG_COUNT".into(), self.settings.len().to_string().into()));
        env
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

    /// Runs git, which has to succeed, and returns the one path that it prints.
    pub(crate) async fn path<A: Into<OsString>>(
        &self,
        doing: &'static str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<PathBuf, WorkspaceError> {
        let captured = self.run(doing, args).await?;
        if captured.success() {
            Ok(path_of(captured.stdout.strip_suffix(b"\n").unwrap_or(&captured.stdout)))
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
        let place = self.place.clone();
        match complaint(&captured.stderr, &place) {
            Complaint::Locked(lock) => WorkspaceError::Locked { doing, place, lock },
            Complaint::Ownership(paths) => WorkspaceError::Ownership { doing, place, paths },
            Complaint::Other(said) => WorkspaceError::Git { doing, place, said },
        }
    }
}

/// The entries of what git prints with `-z`.
pub(crate) fn entries(printed: &[u8]) -> Vec<Vec<u8>> {
    printed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()).map(<[u8]>::to_vec).collect()
}

/// A path as git prints it with `-z`, whatever its bytes are.
#[cfg(unix)]
pub(crate) fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
pub(crate) fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}
