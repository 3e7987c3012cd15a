//! The groups of a company, one in each hierarchy that it can use, and their end.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A company's own groups, one in each hierarchy that it can use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    pub memory: Option<Place>,
    pub pids: Option<Place>,
    pub cpu: Option<Place>,
    /// Of version 2, with whatever controllers: where trees are ended at once.
    pub end: Option<PathBuf>,
}

/// A directory of one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub version: Version,
    pub path: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Version {
    V1,
    V2,
}

impl Root {
    /// Every directory, each once.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let places = [&self.memory, &self.pids, &self.cpu].into_iter().flatten().map(|place| &place.path);
        let mut paths: Vec<PathBuf> = places.chain(&self.end).cloned().collect();
        paths.sort();
        paths.dedup();
        paths
    }

    /// Ends all that lives in groups that former runs have left, and removes them; returns how many processes it ended.
    #[must_use]
    pub fn reconcile(&self) -> usize {
        let mut ended = 0;
        for path in self.paths() {
            for group in below(&path) {
                ended += end_all(&group);
            }
        }
        self.remove();
        ended
    }

    /// Ends all that lives in the groups of one warden that is gone itself.
    pub fn end(&self, name: &str) {
        for path in self.paths() {
            for group in below(&path.join(name)).into_iter().chain([path.join(name)]) {
                let _ = end_all(&group);
            }
        }
    }

    /// Removes groups that are empty.
    pub fn remove(&self) {
        for path in self.paths() {
            for group in below(&path) {
                // One that somebody still lives in stays.
                let _ = fs::remove_dir(group);
            }
        }
    }

    /// Removes all of it.
    pub fn remove_whole(&self) {
        self.remove();
        for path in self.paths() {
            let _ = fs::remove_dir(path);
        }
    }
}

/// Groups below one, the deepest first.
fn below(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(below(&entry.path()));
            found.push(entry.path());
        }
    }
    found
}

/// Kills what is in a group until it is empty, a bounded number of times: what the kernel can't end it won't.
fn end_all(group: &Path) -> usize {
    let mut ended = 0;
    for round in 0..100 {
        let pids = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        let pids: Vec<i32> = pids.lines().filter_map(|line| line.parse().ok()).collect();
        if pids.is_empty() {
            break;
        }
        if round == 0 {
            ended = pids.len();
        }
        for pid in pids.into_iter().filter_map(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    ended
}
