//! Control groups, of version 2 or 1, whichever the machine gives: limits of a whole tree, what it has used, and its end.
//!
//! A warden moves into its groups once, and what it starts is born there: moving a process costs milliseconds. Where a
//! controller has a hierarchy of its own (version 1), and nothing to do but to hold a limit, it moves when there is one: each
//! that a process is in makes it dearer. With version 2 the tree has a group of its own below the warden's, where it can be
//! ended without the warden.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use crate::protocol::{Limit, Limits};

mod probe;

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
    fn paths(&self) -> Vec<PathBuf> {
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

/// The groups of one warden and its tree.
#[derive(Debug)]
pub struct Group {
    memory: Option<Memory>,
    pids: Option<Pids>,
    cpu: Option<Cpu>,
    nest: Option<Nest>,
    /// In force.
    limits: Limits,
    allowed: u32,
}

/// Where a tree is born, and how it is ended.
#[derive(Debug)]
struct Nest {
    fd: OwnedFd,
    path: PathBuf,
    /// How many there were before it.
    number: u64,
    /// `cgroup.kill` was used. Linux (6.18) compares how often the group of a child was killed with how often that of its
    /// parent was, and kills the child if they differ: so nothing can be born into this one any more.
    used_up: Cell<bool>,
}

#[derive(Debug)]
struct Memory {
    version: Version,
    path: PathBuf,
    /// Counts kills; readable when there was one.
    events: File,
    /// Of version 1: told of them.
    told: Option<OwnedFd>,
    /// Looks since it was told of one that isn't counted yet: it tells before the kill, and only once.
    expected: Cell<Option<u32>>,
    /// Counts from when it was last written to.
    peak: Option<File>,
    kills: u64,
}

#[derive(Debug)]
struct Pids {
    version: Version,
    path: PathBuf,
    /// Counts refusals; none: this process isn't in there yet.
    events: Option<File>,
    refusals: u64,
}

#[derive(Debug)]
struct Cpu {
    version: Version,
    path: PathBuf,
    /// This process is in there.
    entered: bool,
}

impl Group {
    /// Makes the groups of a warden and moves this process into them.
    ///
    /// # Errors
    /// When a group can't be made.
    pub fn enter(root: &Root, name: &str) -> io::Result<Self> {
        let always = Root { pids: None, cpu: None, ..root.clone() }.paths();
        // One at least: by that, what a killed company leaves is found, whatever it has made of its environment.
        let always = if always.is_empty() { root.paths() } else { always };
        for path in &always {
            join(&path.join(name))?;
        }
        let nest = match &root.end {
            Some(path) => Some(Nest::make(&path.join(name), 0)?),
            None => None,
        };
        let within = |place: &Place| (place.version, place.path.join(name), always.contains(&place.path));
        Ok(Self {
            memory: root
                .memory
                .as_ref()
                .map(within)
                .map(|(version, path, _)| Memory::open(version, path))
                .transpose()?,
            pids: root.pids.as_ref().map(within).map(Pids::new).transpose()?,
            cpu: root.cpu.as_ref().map(within).map(|(version, path, entered)| Cpu { version, path, entered }),
            nest,
            limits: Limits::default(),
            allowed: 0,
        })
    }

    /// Puts limits in force for what starts next, and counts from zero. `own`: processes that are in the groups and are
    /// none of the tree's.
    ///
    /// # Errors
    /// When a limit can't be set.
    pub fn begin(&mut self, limits: &Limits, own: u32) -> io::Result<()> {
        if let Some(nest) = self.nest.as_mut().filter(|nest| nest.used_up.get()) {
            nest.renew()?;
        }
        let allowed = limits.processes.map_or(0, |processes| processes.saturating_add(own));
        if let Some(memory) = &mut self.memory {
            if limits.memory != self.limits.memory {
                memory.limit(limits.memory)?;
            }
            memory.begin(limits.memory.is_some());
        }
        if let Some(pids) = &mut self.pids {
            if allowed != self.allowed {
                pids.limit(allowed)?;
            }
            pids.refusals = pids.counted();
        }
        if let Some(cpu) = self.cpu.as_mut().filter(|_| limits.cpu_milli != self.limits.cpu_milli) {
            cpu.limit(limits.cpu_milli)?;
        }
        self.limits = *limits;
        self.allowed = allowed;
        Ok(())
    }

    /// Whether a limit of processors is held here.
    #[must_use]
    pub fn holds_cpu(&self) -> bool {
        self.cpu.is_some()
    }

    /// Where a child is to be made in, with `CLONE_INTO_CGROUP`.
    #[must_use]
    pub fn nest(&self) -> Option<BorrowedFd<'_>> {
        self.nest.as_ref().map(|nest| nest.fd.as_fd())
    }

    /// Readable when a limit was hit.
    #[must_use]
    pub fn hits(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let mut fds = Vec::new();
        if let Some(memory) = self.memory.as_ref().filter(|_| self.limits.memory.is_some()) {
            fds.push(match &memory.told {
                Some(told) => (told.as_fd(), PollFlags::IN),
                None => (memory.events.as_fd(), PollFlags::PRI),
            });
        }
        let pids = self.pids.as_ref().filter(|_| self.limits.processes.is_some());
        if let Some(events) = pids.and_then(|pids| pids.events.as_ref()) {
            fds.push((events.as_fd(), PollFlags::PRI));
        }
        fds
    }

    /// How often to look though nothing is readable: of forks that were refused, version 1 notifies nobody, and of a kill too
    /// soon.
    #[must_use]
    pub fn period(&self) -> Option<Duration> {
        let memory = self.memory.as_ref().filter(|_| self.limits.memory.is_some());
        let pids = self.pids.as_ref().filter(|_| self.limits.processes.is_some());
        let refused = pids.filter(|pids| pids.version == Version::V1).map(|_| SELDOM);
        memory.and_then(Memory::period).into_iter().chain(refused).min()
    }

    /// The limit that was hit since `begin`. Looked at, what was readable is so no more.
    #[must_use]
    pub fn hit(&self) -> Option<Limit> {
        let memory = self.memory.as_ref().filter(|_| self.limits.memory.is_some());
        let pids = self.pids.as_ref().filter(|_| self.limits.processes.is_some());
        // Both are looked at, whatever the first has seen.
        let memory = memory.filter(|memory| memory.hits() > 0).map(|_| Limit::Memory);
        let processes = pids.filter(|pids| pids.counted() > pids.refusals).map(|_| Limit::Processes);
        memory.or(processes)
    }

    /// Bytes, since `begin`.
    #[must_use]
    pub fn peak_memory(&self) -> Option<u64> {
        self.memory.as_ref().and_then(Memory::peak)
    }

    /// Ends all of the tree at once, but for this process. False: there is no group for that.
    #[must_use]
    pub fn kill(&self) -> bool {
        let Some(nest) = &self.nest else { return false };
        nest.used_up.set(true);
        write(&nest.path.join("cgroup.kill"), "1").is_ok()
    }
}

impl Nest {
    fn make(warden: &Path, number: u64) -> io::Result<Self> {
        let path = warden.join(format!("tree{number}"));
        fs::create_dir_all(&path).map_err(|error| named(&path, &error))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&path, flags, Mode::empty())?;
        Ok(Self { fd, path, number, used_up: Cell::new(false) })
    }

    fn renew(&mut self) -> io::Result<()> {
        let warden = self.path.parent().unwrap_or(&self.path).to_owned();
        let next = Self::make(&warden, self.number + 1)?;
        // Its last processes may be on their way out: then it goes when all of the company's groups do.
        let _ = fs::remove_dir(&self.path);
        *self = next;
        Ok(())
    }
}

/// Where nobody notifies.
const SELDOM: Duration = Duration::from_millis(500);
/// Looks in quick succession: a tenth of a second of them.
const SOON: u32 = 20;

impl Memory {
    fn open(version: Version, path: PathBuf) -> io::Result<Self> {
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

    fn limit(&self, limit: Option<u64>) -> io::Result<()> {
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

    fn begin(&mut self, limited: bool) {
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

    fn was_told(&self) -> bool {
        self.told.as_ref().is_some_and(|told| rustix::io::read(told, &mut [0u8; 8]).is_ok())
    }

    /// How often to look for what it was told of.
    fn period(&self) -> Option<Duration> {
        self.expected.get().map(|looks| if looks < SOON { Duration::from_millis(5) } else { SELDOM })
    }

    fn hits(&self) -> u64 {
        let was_told = self.was_told();
        let hits = counted(&self.events, "oom_kill").saturating_sub(self.kills);
        let looks = if was_told { Some(0) } else { self.expected.get().map(|looks| looks.saturating_add(1)) };
        self.expected.set(looks.filter(|_| hits == 0));
        hits
    }

    fn peak(&self) -> Option<u64> {
        text(self.peak.as_ref()?).trim().parse().ok()
    }
}

impl Pids {
    fn new((version, path, entered): (Version, PathBuf, bool)) -> io::Result<Self> {
        let events = if entered { Some(Self::events(&path)?) } else { None };
        Ok(Self { version, path, events, refusals: 0 })
    }

    fn events(group: &Path) -> io::Result<File> {
        let path = group.join("pids.events");
        File::open(&path).map_err(|error| named(&path, &error))
    }

    /// At most so many processes; 0: as many as there may be.
    fn limit(&mut self, allowed: u32) -> io::Result<()> {
        if self.events.is_none() {
            join(&self.path)?;
            self.events = Some(Self::events(&self.path)?);
        }
        let text = if allowed == 0 { "max".to_owned() } else { allowed.to_string() };
        write(&self.path.join("pids.max"), &text)
    }

    fn counted(&self) -> u64 {
        self.events.as_ref().map_or(0, |events| counted(events, "max"))
    }
}

impl Cpu {
    /// A tenth of a second at a time.
    fn limit(&mut self, milli: Option<u32>) -> io::Result<()> {
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

/// Makes a group, unless it is there, and moves this process into it.
fn join(group: &Path) -> io::Result<()> {
    match fs::create_dir(group) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(named(group, &error)),
        _ => {}
    }
    write(&group.join("cgroup.procs"), "0")
}

/// The number beside a word in a file of such pairs.
fn counted(file: &File, word: &str) -> u64 {
    let text = text(file);
    let mut pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs.find(|(name, _)| *name == word).and_then(|(_, number)| number.trim().parse().ok()).unwrap_or(0)
}

fn text(file: &File) -> String {
    let mut bytes = [0; 512];
    let read = file.read_at(&mut bytes, 0).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..read]).into_owned()
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let written = File::options().write(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| named(path, &error))
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
