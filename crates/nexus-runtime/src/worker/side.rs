//! A file of an agent's own that is read along while it runs, because it says what the agent's output doesn't.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus_agents::SideFile;
use tokio::time::{Interval, MissedTickBehavior, interval};

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

/// Where an agent's side file is, and how far it was read.
#[derive(Debug)]
pub(super) struct SideFileTail {
    dir: Option<PathBuf>,
    wanted: Option<SideFile>,
    found: Option<PathBuf>,
    offset: u64,
    line: Vec<u8>,
    too_long: bool,
    ticks: Option<Interval>,
    /// The next tick is in a moment.
    stirred: bool,
}

impl SideFileTail {
    pub(super) const fn new(dir: Option<PathBuf>) -> Self {
        Self {
            dir,
            wanted: None,
            found: None,
            offset: 0,
            line: Vec::new(),
            too_long: false,
            ticks: None,
            stirred: false,
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
            let path = find(&dir, &wanted)?;
            let length = path.symlink_metadata().ok()?.len();
            Some((path, length))
        });
        if let Ok(Some((path, length))) = found.await {
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
        let (dir, wanted, known, offset) = (dir.clone(), wanted.clone(), self.found.clone(), self.offset);
        let read = tokio::task::spawn_blocking(move || {
            let path = known.or_else(|| find(&dir, &wanted))?;
            let bytes = read_from(&path, offset).unwrap_or_default();
            Some((path, bytes))
        });
        let Ok(Some((path, bytes))) = read.await else { return Vec::new() };
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

/// The newest file below `dir` that is meant. Links are not followed: the agent may have written them.
fn find(dir: &Path, wanted: &SideFile) -> Option<PathBuf> {
    let mut places = vec![(dir.to_owned(), 0)];
    let mut seen = 0;
    let mut best = None;
    while let Some((place, depth)) = places.pop() {
        for entry in fs::read_dir(&place).into_iter().flatten().flatten() {
            seen += 1;
            if seen > FILES {
                return best.map(|(_, path)| path);
            }
            let (Ok(kind), path) = (entry.file_type(), entry.path()) else { continue };
            if kind.is_dir() && depth < DEPTH {
                places.push((path, depth + 1));
                continue;
            }
            let below = path.strip_prefix(dir).unwrap_or(&path).to_string_lossy();
            if kind.is_file() && below.contains(&wanted.contains) && below.ends_with(wanted.ends) {
                let changed = entry.metadata().and_then(|metadata| metadata.modified()).ok();
                if best.as_ref().is_none_or(|(newest, _)| *newest < changed) {
                    best = Some((changed, path));
                }
            }
        }
    }
    best.map(|(_, path)| path)
}

fn read_from(path: &Path, offset: u64) -> std::io::Result<Vec<u8>> {
    // A pipe in its place would be waited for.
    if !path.symlink_metadata()?.is_file() {
        return Ok(Vec::new());
    }
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(AT_ONCE as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn tail(dir: &Path) -> SideFileTail {
        let mut tail = SideFileTail::new(Some(dir.to_owned()));
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

        let mut next = SideFileTail::new(Some(dir.path().to_owned()));
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
