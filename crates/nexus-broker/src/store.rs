//! The disk under the server's store: whether there is room on it, and whether the server still stores anything.
//!
//! A nats-server whose write has failed answers no write to that stream any more, until it is started again: it says so in
//! its log alone, and on a full disk not even there. So the disk is watched, and the log read.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use nexus_process::Space;

/// The store's room for more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Store {
    #[default]
    Well,
    /// Less is free than is kept for what runs already.
    Full {
        dir: PathBuf,
        free: u64,
        reserve: u64,
    },
    ReadOnly {
        dir: PathBuf,
    },
    /// Writing fails for another reason.
    Failing {
        dir: PathBuf,
        cause: String,
    },
}

impl Store {
    #[must_use]
    pub const fn is_well(&self) -> bool {
        matches!(self, Self::Well)
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Well => f.write_str("there is room"),
            Self::Full { dir, free, reserve } => write!(
                f,
                "the disk of {} is full: {} KiB are free, and the last {} KiB are kept for what runs already",
                dir.display(),
                free / 1024,
                reserve / 1024
            ),
            Self::ReadOnly { dir } => write!(f, "the disk of {} can only be read", dir.display()),
            Self::Failing { dir, cause } => write!(f, "{} can't be written: {cause}", dir.display()),
        }
    }
}

/// The server has to be started again to store anything.
#[derive(Debug)]
pub(crate) struct Stuck {
    pub(crate) reason: String,
    /// The disk was at fault: it says nothing about the server.
    pub(crate) by_disk: bool,
}

/// Looks once in this while: a `statvfs` and a `stat`.
const PERIOD: Duration = Duration::from_secs(1);
/// Less than this free, and the server can't have written everything it was asked to.
const BOTTOM: u64 = 256 * 1024;
/// While there is little room, the server isn't started more often than this to use it.
const BREATHER: Duration = Duration::from_secs(15);
/// Of the server's log, what is read at most at one look.
const LOOK: u64 = 64 * 1024;
/// Written to see whether the disk takes anything: some blocks of any file system.
static TRIAL: [u8; 64 * 1024] = [0; 64 * 1024];

/// Watches one store until nobody wants to know any more.
pub(crate) struct Watcher {
    dir: PathBuf,
    log: PathBuf,
    read: u64,
    stuck: Option<String>,
    by_disk: bool,
    restarted: Option<Instant>,
    store: watch::Sender<Store>,
}

impl Watcher {
    pub(crate) fn new(dir: PathBuf, log: PathBuf, store: watch::Sender<Store>) -> Self {
        let read = fs::metadata(&log).map_or(0, |log| log.len());
        Self { dir, log, read, stuck: None, by_disk: false, restarted: None, store }
    }

    /// Runs until the other half of `restarts` is dropped.
    pub(crate) async fn run(mut self, restarts: mpsc::Sender<Stuck>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = restarts.closed() => return,
            }
            let looked = tokio::task::spawn_blocking(move || {
                let stuck = self.look();
                (self, stuck)
            });
            let Ok((back, stuck)) = looked.await else { return };
            self = back;
            if let Some(stuck) = stuck
                && restarts.send(stuck).await.is_err()
            {
                return;
            }
        }
    }

    fn look(&mut self) -> Option<Stuck> {
        let mut store = self.room();
        if let Some(complaint) = self.complaint() {
            // It may have been full between two looks.
            self.by_disk |= complaint.contains("no space left") || complaint.contains("read-only");
            self.stuck = Some(complaint);
        }
        match &store {
            Store::ReadOnly { .. } => self.suspect("the disk could only be read"),
            Store::Full { free, .. } if *free < BOTTOM => self.suspect("the disk was full"),
            _ => {}
        }
        self.by_disk |= !store.is_well();
        let breather = self.restarted.is_some_and(|at| at.elapsed() < BREATHER) && !store.is_well();
        let mut restart = None;
        if self.stuck.is_some() && !breather && !matches!(store, Store::ReadOnly { .. }) {
            match self.trial() {
                Ok(()) => {
                    let reason = self.stuck.take().unwrap_or_default();
                    self.restarted = Some(Instant::now());
                    restart = Some(Stuck { reason, by_disk: std::mem::take(&mut self.by_disk) });
                }
                Err(error) if store.is_well() => {
                    self.by_disk = true;
                    store = Store::Failing { dir: self.dir.clone(), cause: error.to_string() };
                }
                Err(_) => {}
            }
        }
        if self.stuck.is_none() && store.is_well() {
            self.by_disk = false;
        }
        self.say(store);
        restart
    }

    fn suspect(&mut self, why: &str) {
        self.stuck.get_or_insert_with(|| format!("{why}; what the server was writing then, it writes no more"));
    }

    fn say(&self, now: Store) {
        self.store.send_if_modified(|said| {
            let news = std::mem::discriminant(said) != std::mem::discriminant(&now);
            match (news, now.is_well()) {
                (true, true) => tracing::info!("the broker's store has room again"),
                (true, false) => tracing::error!("no new work is taken: {now}"),
                (false, _) => {}
            }
            let changed = *said != now;
            *said = now;
            changed
        });
    }

    /// The file system's word. One that says nothing counts as well: a write that fails is still found in the log.
    fn room(&self) -> Store {
        let Some(space) = Space::of(&self.dir) else { return Store::Well };
        // Once there was too little, there has to be some more than just enough: no flapping.
        let full = matches!(*self.store.borrow(), Store::Full { .. });
        let reserve = space.reserve();
        let wanted = if full { reserve + reserve / 4 } else { reserve };
        let dir = self.dir.clone();
        match space {
            Space { read_only: true, .. } => Store::ReadOnly { dir },
            Space { free, .. } if free < wanted => Store::Full { dir, free, reserve },
            _ => Store::Well,
        }
    }

    fn trial(&self) -> io::Result<()> {
        let path = self.dir.join("trial");
        let written = File::create(&path).and_then(|mut file| {
            file.write_all(&TRIAL)?;
            file.sync_all()
        });
        let removed = fs::remove_file(path);
        written.and(removed)
    }

    /// The server's last word, since the last look, about something it could not write.
    fn complaint(&mut self) -> Option<String> {
        let new = read_from(&self.log, &mut self.read).ok()?;
        let text = String::from_utf8_lossy(&new);
        let is_complaint = |line: &&str| {
            line.contains("[ERR]") && (line.contains("failed to store a msg") || line.contains("ritical write error"))
        };
        let line = text.lines().rev().find(is_complaint)?;
        Some(line.split_once("[ERR] ").map_or(line, |(_, said)| said).to_owned())
    }
}

/// The text that was added to a file since it was `read` bytes long; of much, the end. A shorter file is a new one.
fn read_from(path: &Path, read: &mut u64) -> io::Result<Vec<u8>> {
    let length = fs::metadata(path)?.len();
    if length == *read {
        return Ok(Vec::new());
    }
    let from = if length < *read { 0 } else { *read }.max(length.saturating_sub(LOOK));
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut new = Vec::new();
    file.take(LOOK).read_to_end(&mut new)?;
    // Half a line is read again with its other half.
    let whole = new.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    new.truncate(whole);
    *read = from + whole as u64;
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watcher(dir: &Path) -> (Watcher, watch::Receiver<Store>) {
        let (store, seen) = watch::channel(Store::Well);
        (Watcher::new(dir.to_owned(), dir.join("log"), store), seen)
    }

    #[test]
    fn a_write_that_failed_asks_for_a_restart_once() {
        let dir = tempfile::tempdir().unwrap();
        let (mut watcher, seen) = watcher(dir.path());
        assert!(watcher.look().is_none());
        let complaint = "[1] 2026/11/22 21:32:27 [ERR] JetStream failed to store a msg on stream 'x': ";
        // Half a line is not read yet.
        fs::write(dir.path().join("log"), complaint).unwrap();
        assert!(watcher.look().is_none());
        fs::write(dir.path().join("log"), format!("{complaint}no space left on device\n[1] ... [INF] more\n")).unwrap();
        let stuck = watcher.look().unwrap();
        assert!(stuck.by_disk && stuck.reason.starts_with("JetStream failed to store a msg"), "{stuck:?}");
        assert!(watcher.look().is_none() && seen.borrow().is_well());
        // The log was begun anew; this time it isn't the disk.
        fs::write(dir.path().join("log"), format!("{complaint}bad file descriptor\n")).unwrap();
        assert!(!watcher.look().unwrap().by_disk);
    }

    #[test]
    fn a_directory_that_can_t_be_written_is_said_and_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        let (mut watcher, seen) = watcher(dir.path());
        watcher.dir = store.clone();
        fs::write(dir.path().join("log"), "[1] [ERR] Filestore [x] Critical write error: y\n").unwrap();
        assert!(watcher.look().is_none());
        assert!(matches!(&*seen.borrow(), Store::Failing { .. }), "{:?}", *seen.borrow());
        fs::create_dir(store).unwrap();
        assert!(watcher.look().is_some_and(|stuck| stuck.by_disk) && seen.borrow().is_well());
    }
}
