//! Control groups, of version 2 or 1, whichever the machine gives: limits of a whole tree, what it has used, and its end.
//!
//! A warden moves into its groups once, and what it starts is born there: moving a process costs milliseconds. Where a
//! controller has a hierarchy of its own (version 1), and nothing to do but to hold a limit, it moves when there is one: each
//! that a process is in makes it dearer. With version 2 the tree has a group of its own below the warden's, where it can be
//! ended without the warden.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use rustix::event::PollFlags;

use crate::protocol::{Limit, Limits};

mod bounds;
mod memory;
mod nest;
mod probe;
mod root;

use bounds::{Cpu, Pids};
use memory::Memory;
use nest::Nest;
pub use root::{Place, Root, Version};

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

/// The time between two looks where nobody notifies.
const SELDOM: Duration = Duration::from_millis(500);

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

    /// True if a limit of processors is held here.
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

    /// The time between two looks that are taken though nothing is readable: of forks that were refused, version 1 notifies nobody,
    /// and of a kill too soon.
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
