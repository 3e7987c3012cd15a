//! The room that a file system has.

use std::path::Path;

/// The room where a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this user may still write.
    pub free: u64,
    pub total: u64,
    pub read_only: bool,
}

/// Enough for the ends and the log lines of what runs when new work is refused, and for the history to note them.
const RESERVE: u64 = 64 << 20;

impl Space {
    /// `None` where the file system doesn't say.
    #[cfg(unix)]
    #[must_use]
    pub fn of(dir: &Path) -> Option<Self> {
        let stat = rustix::fs::statvfs(dir).ok()?;
        Some(Self {
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
            read_only: stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
        })
        // Some file systems (FUSE, mostly) know no sizes.
        .filter(|space| space.total > 0)
    }

    #[cfg(not(unix))]
    #[must_use]
    pub const fn of(_: &Path) -> Option<Self> {
        None
    }

    /// Bytes that are kept for what runs already: a twentieth of a small disk, 64 MiB of any other.
    #[must_use]
    pub const fn reserve(&self) -> u64 {
        let part = self.total / 20;
        if part < RESERVE { part } else { RESERVE }
    }
}
