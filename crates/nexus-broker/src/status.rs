//! The answer of `nexus broker status`. Starts and changes nothing.

use std::fs;
use std::path::{Path, PathBuf};

use nexus_process::daemon::leftover;
use serde::Serialize;

use crate::files::Files;
use crate::tools::{Found, Tools, find};

/// The broker of a data directory, as it is now.
#[derive(Clone, Debug, Serialize)]
pub struct BrokerStatus {
    /// The server that would be used, and those that can't be, with the reason.
    #[serde(flatten)]
    pub found: Found,
    /// The one that runs on the data directory.
    pub running: Option<Running>,
    /// Bytes in the server's store.
    pub store_bytes: u64,
    pub log: PathBuf,
}

/// A server that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Running {
    pub pid: u32,
    /// `None` while it is still loading its store.
    pub port: Option<u16>,
}

/// Looks at the tools and at one data directory.
pub async fn status(tools: &Tools, data_dir: &Path) -> BrokerStatus {
    let files = Files::of(data_dir);
    BrokerStatus {
        found: find(tools).await,
        running: running(data_dir),
        store_bytes: size(&files.store()),
        log: files.log(),
    }
}

/// The server that runs on a data directory; none runs where a company uses somebody else's.
#[must_use]
pub fn running(data_dir: &Path) -> Option<Running> {
    let files = Files::of(data_dir);
    let pid = files.recorded_pid().filter(|pid| leftover::is_alive(*pid, files.config().as_os_str()))?;
    Some(Running { pid, port: files.announced_port(pid) })
}

/// A store is some files for each stream and consumer; what disappears while they are counted is not counted.
fn size(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
