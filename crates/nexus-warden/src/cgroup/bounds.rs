//! The groups that hold the processes of a tree, and its processors.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::{Version, counted, join, named, write};

#[derive(Debug)]
pub(super) struct Pids {
    pub(super) version: Version,
    pub(super) path: PathBuf,
    /// Counts refusals; none: this process isn't in there yet.
    pub(super) events: Option<File>,
    pub(super) refusals: u64,
}

#[derive(Debug)]
pub(super) struct Cpu {
    pub(super) version: Version,
    pub(super) path: PathBuf,
    /// This process is in there.
    pub(super) entered: bool,
}

impl Pids {
    pub(super) fn new((version, path, entered): (Version, PathBuf, bool)) -> io::Result<Self> {
        let events = if entered { Some(Self::events(&path)?) } else { None };
        Ok(Self { version, path, events, refusals: 0 })
    }

    pub(super) fn events(group: &Path) -> io::Result<File> {
        let path = group.join("pids.events");
        File::open(&path).map_err(|error| named(&path, &error))
    }

    /// At most so many processes; 0: as many as there may be.
    pub(super) fn limit(&mut self, allowed: u32) -> io::Result<()> {
        if self.events.is_none() {
            join(&self.path)?;
            self.events = Some(Self::events(&self.path)?);
        }
        let text = if allowed == 0 { "max".to_owned() } else { allowed.to_string() };
        write(&self.path.join("pids.max"), &text)
    }

    pub(super) fn counted(&self) -> u64 {
        self.events.as_ref().map_or(0, |events| counted(events, "max"))
    }
}

impl Cpu {
    /// A tenth of a second at a time.
    pub(super) fn limit(&mut self, milli: Option<u32>) -> io::Result<()> {
        if !self.entered {
            join(&self.path)?;
            self.entered = true;
        }
        let quota = milli.map(|milli| (u64::from(milli) * 100).max(1000));
        match self.version {
            Version::V2 => {
                let quota = quota.map_or_else(|| "max".to_owned(), |quota| quota.to_string());
                write(&self.path.join("cpu.max"), &format!("{quota} 100000"))
            }
            Version::V1 => {
                write(&self.path.join("cpu.cfs_period_us"), "100000")?;
                let quota = quota.map_or_else(|| "-1".to_owned(), |quota| quota.to_string());
                write(&self.path.join("cpu.cfs_quota_us"), &quota)
            }
        }
    }
}
