//! The room that the prepared checkouts use, and those of them that go.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::time::{Duration, SystemTime};

use super::{About, Checkouts, LOCK, PARTIAL};
use crate::copy;
use crate::warm::{WARMING, locked};

/// One that was used a moment ago may be about to be used again by who has just been told of it.
const FRESH: Duration = Duration::from_secs(600);

/// Ends the name of what is being removed.
const GONE: &str = "gone";

/// The most that prepared checkouts that no workspace is made of may use, and the time for which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// All together.
    pub bytes: u64,
    /// One that nobody has used for so long is made anew when it is needed.
    pub age: Duration,
}

impl Bounds {
    /// No bounds.
    pub const NONE: Self = Self { bytes: u64::MAX, age: Duration::MAX };
}

/// A number of prepared checkouts, and what they use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stock {
    pub checkouts: u64,
    pub bytes: u64,
}

struct Entry {
    name: String,
    bytes: u64,
    over: Option<String>,
    used: SystemTime,
}

impl Checkouts {
    /// Removes what nobody uses, the longest unused first, until the rest is within the bounds. `used` are names that
    /// workspaces are made of. A rehearsal removes nothing.
    pub(crate) fn tidy(&self, used: &HashSet<String>, bounds: Bounds, all: bool, rehearsal: bool) -> io::Result<Stock> {
        if !rehearsal {
            self.sweep();
        }
        let mut entries = self.entries();
        let now = SystemTime::now();
        let mut needed: HashSet<String> = used.clone();
        needed.extend(entries.iter().filter(|entry| used.contains(&entry.name)).filter_map(|entry| entry.over.clone()));
        let (mut total, mut removed) = (0, Stock::default());
        // One over another comes before it: it goes first.
        entries.sort_by_key(|entry| (entry.over.is_none(), std::cmp::Reverse(entry.used)));
        for entry in &entries {
            let age = now.duration_since(entry.used).unwrap_or_default();
            let is_kept = needed.contains(&entry.name)
                || age < FRESH
                || !all && age < bounds.age && total + entry.bytes <= bounds.bytes;
            if is_kept {
                total += entry.bytes;
                needed.extend(entry.over.clone());
                continue;
            }
            if !rehearsal {
                let path = self.root.join(&entry.name);
                // Somebody has begun to use it just now.
                if About::read(&path).is_none_or(|about| about.used != entry.used) {
                    continue;
                }
                // Nobody finds it half gone.
                let gone = path.with_extension(GONE);
                fs::rename(&path, &gone)?;
                copy::remove(&gone)?;
            }
            removed.checkouts += 1;
            removed.bytes += entry.bytes;
        }
        Ok(removed)
    }

    /// Removes what killed companies have left half made or half removed. Nobody makes a checkout on a shelf meanwhile.
    fn sweep(&self) {
        for shelf in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let lock = File::options().write(true).open(shelf.path().join(LOCK));
            if !lock.as_ref().is_ok_and(|lock| lock.try_lock().is_ok()) {
                continue;
            }
            for entry in fs::read_dir(shelf.path()).into_iter().flatten().flatten() {
                let path = entry.path();
                let ends = |end: &str| path.extension().is_some_and(|found| found == end);
                let given_up = if ends(WARMING) { locked(&path).ok().flatten() } else { None };
                let is_left = ends(PARTIAL) || ends(GONE) || given_up.is_some();
                if is_left && let Err(error) = copy::remove(&path) {
                    tracing::warn!(path = %path.display(), %error, "a part of a checkout is left");
                }
            }
        }
    }

    /// The stock that is there.
    pub(crate) fn stock(&self) -> Stock {
        let entries = self.entries();
        Stock { checkouts: entries.len() as u64, bytes: entries.iter().map(|entry| entry.bytes).sum() }
    }

    fn entries(&self) -> Vec<Entry> {
        let shelves = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let mut entries = Vec::new();
        for shelf in shelves {
            for entry in fs::read_dir(shelf.path()).into_iter().flatten().flatten() {
                let name = format!("{}/{}", shelf.file_name().to_string_lossy(), entry.file_name().to_string_lossy());
                if entry.path().extension().is_none()
                    && let Some(about) = About::read(&entry.path())
                {
                    let over = about.over.map(|over| format!("{}/{over}", shelf.file_name().to_string_lossy()));
                    entries.push(Entry { name, bytes: about.bytes, over, used: about.used });
                }
            }
        }
        entries
    }
}
