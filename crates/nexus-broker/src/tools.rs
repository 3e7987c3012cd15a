//! Finding a nats-server that can be used: the setting, the tools directory, then `PATH`. One that can't be used is
//! named with the reason, and the search goes on; only a bad setting ends it.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus_process::{CaptureError, Captured, Command, capture};
use semver::Version;
use serde::Serialize;

/// The oldest server that has what the ledger needs: message schedules and atomic batches.
pub const MINIMUM: Version = Version::new(2, 12, 0);

/// Where official release archives are published.
const ARCHIVES: &str = "https://github.com/nats-io/nats-server/releases/download";

/// Where programs are looked for and put.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The setting `broker.server`.
    pub setting: Option<PathBuf>,
    /// The directory for what nexus installs itself.
    pub dir: PathBuf,
    /// The `PATH` to search, for a server and for pip.
    pub path: OsString,
    /// The address below which release archives lie; `None` leaves that way out.
    pub archives: Option<String>,
}

impl Tools {
    /// With the `PATH` of this process and the official archives.
    #[must_use]
    pub fn new(setting: Option<PathBuf>, dir: PathBuf) -> Self {
        Self { setting, dir, path: env::var_os("PATH").unwrap_or_default(), archives: Some(ARCHIVES.to_owned()) }
    }

    /// Every file called `name` in the absolute directories of `PATH`, in order.
    pub(crate) fn on_path(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        let file = format!("{name}{}", env::consts::EXE_SUFFIX);
        let directories = env::split_paths(&self.path).filter(|dir| dir.is_absolute());
        directories.map(move |dir| dir.join(&file)).filter(|path| path.is_file())
    }
}

/// The way by which a server was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    Setting,
    Tools,
    Path,
}

/// A server that can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    pub path: PathBuf,
    #[serde(serialize_with = "as_text")]
    pub version: Version,
    pub origin: Origin,
}

/// A server that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    pub path: PathBuf,
    pub origin: Origin,
    pub reason: String,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)
    }
}

/// The result of the search. Nothing chosen and a rejected setting means that the setting has to be changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    pub chosen: Option<Candidate>,
    pub rejected: Vec<Rejected>,
}

/// Looks for a server to use. Each candidate is run once, to ask its version.
pub async fn find(tools: &Tools) -> Found {
    let mut found = Found::default();
    if let Some(setting) = &tools.setting {
        found.consider(setting.clone(), Origin::Setting).await;
        return found;
    }
    let on_path = tools.on_path("nats-server").map(|path| (path, Origin::Path));
    let all = installed(&tools.dir).into_iter().map(|path| (path, Origin::Tools)).chain(on_path);
    for (path, origin) in all.collect::<Vec<_>>() {
        if found.consider(path, origin).await {
            break;
        }
    }
    found
}

impl Found {
    async fn consider(&mut self, path: PathBuf, origin: Origin) -> bool {
        // The same file again, by another name or the same directory twice on PATH.
        if self.rejected.iter().any(|other| same_file(&other.path, &path)) {
            return false;
        }
        match version(&path).await {
            Ok(version) if version >= MINIMUM => self.chosen = Some(Candidate { path, version, origin }),
            Ok(version) => {
                let reason = format!("version {version} is too old, at least {MINIMUM} is needed");
                self.rejected.push(Rejected { path, origin, reason });
            }
            Err(reason) => self.rejected.push(Rejected { path, origin, reason }),
        }
        self.chosen.is_some()
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    a == b || fs::canonicalize(a).is_ok_and(|a| fs::canonicalize(b).is_ok_and(|b| a == b))
}

/// The name a server of this version has in the tools directory.
pub(crate) fn file_name(version: &Version) -> String {
    format!("nats-server-{version}{}", env::consts::EXE_SUFFIX)
}

/// The servers in the tools directory, newest first.
pub(crate) fn installed(dir: &Path) -> Vec<PathBuf> {
    let version = |path: &Path| -> Option<Version> {
        let name = path.file_name()?.to_str()?;
        name.strip_prefix("nats-server-")?.strip_suffix(env::consts::EXE_SUFFIX)?.parse().ok()
    };
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut servers: Vec<_> = entries.filter_map(|path| Some((version(&path)?, path))).collect();
    servers.sort_by(|a, b| b.cmp(a));
    servers.into_iter().map(|(_, path)| path).collect()
}

/// A server says its version in milliseconds; a first run on a slow disk, or under a virus scanner, takes longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

async fn version(path: &Path) -> Result<Version, String> {
    let output = run(path, vec!["--version".into()], ANSWER_WITHIN);
    let output = output.await.map_err(|error| format!("can't be run: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let parsed = said.trim().strip_prefix("nats-server: v").and_then(|version| version.parse().ok());
    parsed.ok_or_else(|| {
        format!("does not answer --version like nats-server does ({:?}, {:?})", output.status, said.trim())
    })
}

/// All that a tool may print: its messages are short, and what prints more is broken.
const OUTPUT: usize = 1024 * 1024;

/// Runs a tool to its end, in the environment of this process: tools such as pip are set up there. Not in its directory, where
/// anybody's files may lie that a tool takes for its own.
pub(crate) async fn run(program: &Path, args: Vec<OsString>, within: Duration) -> Result<Captured, CaptureError> {
    let program = std::path::absolute(program).unwrap_or_else(|_| program.to_owned());
    capture(&Command::new(program, ROOT).args(args).env(env::vars_os()), within, OUTPUT).await
}

/// A directory that only the system's owner writes to.
const ROOT: &str = if cfg!(windows) { "C:\\" } else { "/" };

fn as_text<S: serde::Serializer>(version: &Version, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(version)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_tool_does_not_run_in_our_directory_and_relative_places_hold_none() {
        let shell = Path::new("/bin/sh");
        let said = run(shell, vec!["-c".into(), "pwd -P".into()], ANSWER_WITHIN).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout), "/\n");
        let mut tools = Tools::new(None, PathBuf::new());
        // Cargo runs tests in the crate's directory.
        tools.path = "src:.:".into();
        assert!(Path::new("src/lib.rs").is_file());
        assert_eq!(tools.on_path("lib.rs").next(), None);
    }
}
