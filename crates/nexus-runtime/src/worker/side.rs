//! A file of an agent's own that is read along while it runs, because it says what the agent's output doesn't.
//!
//! It is the agent's, which may put anything in its place: no link is followed, nothing but a file is read, and nobody waits for
//! a disk that doesn't answer.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nexus_agents::SideFile;
use nexus_process::Beneath;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

/// The time between two looks at it: less than a model takes to answer.
const PERIOD: Duration = Duration::from_millis(200);
/// The wait after the agent has said something: a budget that its model has used up is to end it before its next call.
const A_MOMENT: Duration = Duration::from_millis(20);
/// The depth to which it is looked for, and the number of files among which it is.
const DEPTH: usize = 6;
const FILES: usize = 4096;
/// Bytes that are read at a time, and of one line: what a tool has answered may stand in it. A longer line is left out.
const AT_ONCE: usize = 1024 * 1024;
const LONGEST: usize = 8 * 1024 * 1024;
/// The longest wait for one look. It goes on then, and what it finds is heard later.
const LOOK: Duration = Duration::from_secs(5);

/// The directory in which a side file is looked for.
#[derive(Debug)]
pub(super) struct SideDir {
    /// Only the company or the user can replace this one.
    holder: PathBuf,
    below: PathBuf,
    /// The former, once it is there.
    opened: OnceLock<Beneath>,
}

impl SideDir {
    pub(super) fn new(holder: &Path, below: &Path) -> Self {
        Self { holder: holder.to_owned(), below: below.to_owned(), opened: OnceLock::new() }
    }

    fn open(&self) -> std::io::Result<Beneath> {
        if self.opened.get().is_none() {
            // Somebody else's is as good.
            let _ = self.opened.set(Beneath::open(&self.holder)?);
        }
        let holder = self.opened.get().ok_or(std::io::ErrorKind::NotFound)?;
        holder.enter(&self.below)
    }
}

/// A look at the file: its path below the directory, and the bytes from the place where it was to be read.
type Look = JoinHandle<Option<(PathBuf, Vec<u8>)>>;

/// Where an agent's side file is, and how far it was read.
#[derive(Debug)]
pub(super) struct SideFileTail {
    dir: Option<Arc<SideDir>>,
    wanted: Option<SideFile>,
    /// Below the directory.
    found: Option<PathBuf>,
    offset: u64,
    line: Vec<u8>,
    too_long: bool,
    ticks: Option<Interval>,
    /// The next tick is in a moment.
    stirred: bool,
    /// Under way.
    look: Option<Look>,
}

impl SideFileTail {
    pub(super) fn new(dir: Option<SideDir>) -> Self {
        Self {
            dir: dir.map(Arc::new),
            wanted: None,
            found: None,
            offset: 0,
            line: Vec::new(),
            too_long: false,
            ticks: None,
            stirred: false,
            look: None,
        }
    }

    /// Asks which file it is, until that is known.
    pub(super) fn look_for(&mut self, which: impl FnOnce() -> Option<SideFile>) {
        if self.dir.is_some() && self.wanted.is_none() {
            self.wanted = which();
        }
    }

    /// The agent has said something, and may have written something too.
    pub(super) fn stir(&mut self) {
        if let Some(ticks) = &mut self.ticks
            && !std::mem::replace(&mut self.stirred, true)
        {
            ticks.reset_after(A_MOMENT);
        }
    }

    /// Leaves out what stands in it by now: that is of an earlier run of the session.
    pub(super) async fn skip(&mut self) {
        let (Some(dir), Some(wanted)) = (self.dir.clone(), self.wanted.clone()) else { return };
        let found = tokio::task::spawn_blocking(move || {
            let directory = dir.open().ok()?;
            let path = find(&directory, &wanted)?;
            let length = directory.read(&path).and_then(|file| file.metadata()).ok()?.len();
            Some((path, length))
        });
        if let Ok(Ok(Some((path, length)))) = timeout(LOOK, found).await {
            (self.found, self.offset) = (Some(path), length);
        }
    }

    /// Resolves when it is time to read; never, while there is nothing to be read.
    pub(super) async fn due(&mut self) {
        if self.wanted.is_none() {
            return std::future::pending().await;
        }
        let ticks = self.ticks.get_or_insert_with(|| {
            let mut ticks = interval(PERIOD);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        ticks.tick().await;
        self.stirred = false;
    }

    /// The lines that are complete and were not read yet. A file that can't be read says nothing: what it would have said is
    /// missing in what is known of the run, no more.
    pub(super) async fn read(&mut self) -> Vec<Vec<u8>> {
        let (Some(dir), Some(wanted)) = (&self.dir, &self.wanted) else { return Vec::new() };
        let look = self.look.get_or_insert_with(|| {
            let (dir, wanted, known, offset) = (Arc::clone(dir), wanted.clone(), self.found.clone(), self.offset);
            tokio::task::spawn_blocking(move || {
                let directory = dir.open().ok()?;
                let path = known.or_else(|| find(&directory, &wanted))?;
                let bytes = read_from(&directory, &path, offset).unwrap_or_default();
                Some((path, bytes))
            })
        });
        let Ok(looked) = timeout(LOOK, &mut *look).await else { return Vec::new() };
        self.look = None;
        let Ok(Some((path, bytes))) = looked else { return Vec::new() };
        self.found = Some(path);
        self.offset += bytes.len() as u64;
        self.split(&bytes)
    }

    fn split(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + piece.len() > LONGEST {
                self.too_long = true;
                self.line.clear();
            }
            if !self.too_long {
                self.line.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                if !std::mem::take(&mut self.too_long) {
                    lines.push(line);
                }
            }
        }
        lines
    }
}

/// The newest file below `directory` that is meant.
fn find(directory: &Beneath, wanted: &SideFile) -> Option<PathBuf> {
    let mut places = vec![(PathBuf::new(), 0)];
    let mut left = FILES;
    let mut best = None;
    while let Some((place, depth)) = places.pop() {
        let entries = directory.enter(&place).and_then(|place| place.entries(left)).unwrap_or_default();
        left -= entries.len();
        for entry in entries {
            let below = place.join(&entry.name);
            if entry.is_directory && depth < DEPTH {
                places.push((below, depth + 1));
                continue;
            }
            let name = below.to_string_lossy();
            let is_meant = entry.is_file && name.contains(&wanted.contains) && name.ends_with(wanted.ends);
            if is_meant && best.as_ref().is_none_or(|(newest, _)| *newest < entry.modified) {
                best = Some((entry.modified, below));
            }
        }
    }
    best.map(|(_, path)| path)
}

fn read_from(directory: &Beneath, path: &Path, offset: u64) -> std::io::Result<Vec<u8>> {
    let mut file = directory.read(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(AT_ONCE as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::io::Write;

    fn side_dir(dir: &Path) -> Option<SideDir> {
        Some(SideDir::new(dir, Path::new("")))
    }

    fn tail(dir: &Path) -> SideFileTail {
        let mut tail = SideFileTail::new(side_dir(dir));
        tail.look_for(|| Some(SideFile { contains: "0a51".into(), ends: ".jsonl" }));
        tail
    }

    #[tokio::test]
    async fn lines_are_told_once_when_they_are_complete() {
        let dir = tempfile::tempdir().unwrap();
        let mut tail = tail(dir.path());
        assert!(tail.read().await.is_empty(), "it isn't there yet");
        let place = dir.path().join("2026/11/25");
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("other.jsonl"), "no\n").unwrap();
        let mut file = File::create(place.join("rollout-0a51.jsonl")).unwrap();
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(tail.read().await, [b"one\n".to_vec()]);
        file.write_all(b"o\n").unwrap();
        assert_eq!(tail.read().await, [b"two\n".to_vec()]);
        assert!(tail.read().await.is_empty());
    }

    #[tokio::test]
    async fn what_an_earlier_run_has_left_is_not_told_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut tail = tail(dir.path());
        tail.skip().await;
        let mut file = File::create(dir.path().join("rollout-0a51.jsonl")).unwrap();
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(tail.read().await, [b"one\n".to_vec()], "there was nothing to leave out");

        let mut next = SideFileTail::new(side_dir(dir.path()));
        next.look_for(|| Some(SideFile { contains: "0a51".into(), ends: ".jsonl" }));
        next.skip().await;
        file.write_all(b"three\n").unwrap();
        assert_eq!(next.read().await, [b"three\n".to_vec()]);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn links_are_not_followed() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("0a51.jsonl"), "secret\n").unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("linked")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("0a51.jsonl"), dir.path().join("0a51.jsonl")).unwrap();
        assert!(tail(dir.path()).read().await.is_empty());
        // Nor one in the place of the directory itself.
        std::os::unix::fs::symlink(outside.path(), dir.path().join("sessions")).unwrap();
        let mut tail = SideFileTail::new(Some(SideDir::new(dir.path(), Path::new("sessions"))));
        tail.look_for(|| Some(SideFile { contains: "0a51".into(), ends: ".jsonl" }));
        assert!(tail.read().await.is_empty());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_pipe_that_takes_the_files_place_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0a51.jsonl");
        fs::write(&path, "one\n").unwrap();
        let mut tail = tail(dir.path());
        assert_eq!(tail.read().await, [b"one\n".to_vec()]);
        fs::remove_file(&path).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(tail.read().await.is_empty());
        assert!(tail.look.is_none(), "it has been looked at, and nobody waits");
    }

    #[test]
    fn a_line_that_never_ends_fills_no_memory() {
        let mut tail = SideFileTail::new(None);
        for _ in 0..20 {
            assert!(tail.split(&vec![b'x'; AT_ONCE]).is_empty());
            assert!(tail.line.len() <= LONGEST);
        }
        assert_eq!(tail.split(b"\nnext\n"), [b"next\n".to_vec()]);
    }
}
