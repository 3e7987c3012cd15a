//! The group that holds the memory of a tree.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use super::{SELDOM, Version, counted, named, text, write};

#[derive(Debug)]
pub(super) struct Memory {
    version: Version,
    path: PathBuf,
    /// Counts kills; readable when there was one.
    pub(super) events: File,
    /// Of version 1: told of them.
    pub(super) told: Option<OwnedFd>,
    /// Looks since it was told of one that isn't counted yet: it tells before the kill, and only once.
    expected: Cell<Option<u32>>,
    /// Counts from when it was last written to.
    peak: Option<File>,
    kills: u64,
}

/// Looks in quick succession: a tenth of a second of them.
const SOON: u32 = 20;

impl Memory {
    pub(super) fn open(version: Version, path: PathBuf) -> io::Result<Self> {
        let file = |name: &str| {
            let path = path.join(name);
            File::open(&path).map_err(|error| named(&path, &error))
        };
        let (events, told, peak) = match version {
            Version::V2 => {
                let peak = File::options().read(true).write(true).open(path.join("memory.peak")).ok();
                (file("memory.events")?, None, peak)
            }
            Version::V1 => {
                let events = file("memory.oom_control")?;
                let told = rustix::event::eventfd(
                    0,
                    rustix::event::EventfdFlags::CLOEXEC | rustix::event::EventfdFlags::NONBLOCK,
                )?;
                use std::os::fd::AsRawFd;
                let order = format!("{} {}", told.as_raw_fd(), events.as_raw_fd());
                write(&path.join("cgroup.event_control"), &order)?;
                let peak = File::options().read(true).write(true).open(path.join("memory.max_usage_in_bytes")).ok();
                (events, Some(told), peak)
            }
        };
        Ok(Self { version, path, events, told, expected: Cell::new(None), peak, kills: 0 })
    }

    pub(super) fn limit(&self, limit: Option<u64>) -> io::Result<()> {
        let set = |name: &str, value: &str| write(&self.path.join(name), value);
        match self.version {
            Version::V2 => {
                set("memory.max", &limit.map_or_else(|| "max".to_owned(), |limit| limit.to_string()))?;
                // A machine without swap has no such file.
                let _ = set("memory.swap.max", if limit.is_some() { "0" } else { "max" });
                Ok(())
            }
            Version::V1 => {
                // Memory and swap together are never less than memory: so first both are opened.
                let _ = set("memory.memsw.limit_in_bytes", "-1");
                set("memory.limit_in_bytes", "-1")?;
                let Some(limit) = limit.map(|limit| limit.to_string()) else { return Ok(()) };
                set("memory.limit_in_bytes", &limit)?;
                let _ = set("memory.memsw.limit_in_bytes", &limit);
                Ok(())
            }
        }
    }

    pub(super) fn begin(&mut self, limited: bool) {
        if limited {
            self.kills = counted(&self.events, "oom_kill");
            self.was_told();
        }
        self.expected.set(None);
        // A kernel before 6.12 can't count anew in version 2.
        let anew: &[u8] = if self.version == Version::V2 { b"reset" } else { b"0" };
        if self.peak.as_mut().is_some_and(|peak| peak.write_all(anew).is_err()) {
            self.peak = None;
        }
    }

    pub(super) fn was_told(&self) -> bool {
        self.told.as_ref().is_some_and(|told| rustix::io::read(told, &mut [0u8; 8]).is_ok())
    }

    /// The time between two looks for what it was told of.
    pub(super) fn period(&self) -> Option<Duration> {
        self.expected.get().map(|looks| if looks < SOON { Duration::from_millis(5) } else { SELDOM })
    }

    pub(super) fn hits(&self) -> u64 {
        let was_told = self.was_told();
        let hits = counted(&self.events, "oom_kill").saturating_sub(self.kills);
        let looks = if was_told { Some(0) } else { self.expected.get().map(|looks| looks.saturating_add(1)) };
        self.expected.set(looks.filter(|_| hits == 0));
        hits
    }

    pub(super) fn peak(&self) -> Option<u64> {
        text(self.peak.as_ref()?).trim().parse().ok()
    }
}
