//! Confinement: what becomes of a forked child before it is the agent.
//!
//! In namespaces there is an init between the warden and the agent: process 1 of the agent's PID namespace, with which all
//! of the namespace dies. It is this program again, started by bwrap or forked.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{FdFlags, fcntl_setfd};
use serde::{Deserialize, Serialize};

use crate::protocol::{Bind, Confinement, Fault, Network, Stage, Start, Tier};
use crate::tree::{fault, fork};

mod bwrap;
mod calls;
mod control;
mod init;
mod paths;
mod probe;

pub use control::{Control, Inner};
pub use init::inside;
pub use probe::{Available, probe};

/// A confinement made ready before the fork.
#[derive(Debug)]
pub struct Plan {
    tier: Tier,
    inside: Inside,
    /// The init's end of the way between it and the warden, and the warden's. None where there is no init.
    ways: Option<(OwnedFd, OwnedFd)>,
    /// What bwrap is to do, where it is bwrap.
    bwrap: Option<bwrap::Files>,
}

/// What is to be started within, and what it may reach, by the paths that are seen there.
#[derive(Debug, Serialize, Deserialize)]
struct Inside {
    program: CString,
    argv: Vec<CString>,
    env: Vec<CString>,
    cwd: CString,
    read: Vec<CString>,
    write: Vec<CString>,
    network: Network,
    /// Nothing but Landlock and seccomp stands between the agent and the machine.
    alone: bool,
}

impl Plan {
    /// # Errors
    /// When the machine can't do what the tier says.
    pub fn new(start: &Start, confinement: &Confinement) -> Result<Self, Fault> {
        let targets = |binds: &[Bind]| binds.iter().map(|bind| bind.target.clone()).collect();
        let (alone, has_init) = match confinement.tier {
            Tier::Namespaces { .. } => (false, true),
            Tier::Landlock { clone_flags } => (true, clone_flags & init::NEWPID != 0),
        };
        let inside = Inside {
            program: start.program.clone(),
            argv: start.argv.clone(),
            env: start.env.clone(),
            cwd: start.cwd.clone(),
            read: targets(&confinement.read),
            write: targets(&confinement.write),
            network: confinement.network,
            alone,
        };
        if alone && matches!(confinement.network, Network::Proxy { .. }) && !has_network(&confinement.tier) {
            return Err(refused("a proxy needs a network namespace, which this user can't make"));
        }
        let ways = if has_init { Some(control::ways().map_err(|error| fault(Stage::Confine, &error))?) } else { None };
        let bwrap = match &confinement.tier {
            Tier::Namespaces { .. } => {
                Some(bwrap::Files::new(confinement, &inside).map_err(|error| fault(Stage::Confine, &error))?)
            }
            Tier::Landlock { .. } => None,
        };
        Ok(Self { tier: confinement.tier.clone(), inside, ways, bwrap })
    }

    /// The child is not the program itself, but the init of its namespace, or becomes who waits for that.
    #[must_use]
    pub fn has_init(&self) -> bool {
        self.ways.is_some()
    }

    /// The namespaces that the child is to be made in.
    #[must_use]
    pub fn clone_flags(&self) -> u64 {
        match self.tier {
            Tier::Namespaces { .. } => 0,
            Tier::Landlock { clone_flags } => match self.inside.network {
                Network::Full => clone_flags & !init::NEWNET,
                Network::None | Network::Proxy { .. } => clone_flags,
            },
        }
    }

    /// In the forked child: becomes the program, or its init. Returns only when that failed. `stdio` are standard input
    /// (none: empty), output, error.
    pub fn enter(self, stdio: [Option<BorrowedFd<'_>>; 3]) -> Fault {
        if let Err(error) = fork::redirect(stdio) {
            return fault(Stage::Fork, &error);
        }
        match (self.ways, self.bwrap, self.tier) {
            (Some((theirs, _)), Some(files), Tier::Namespaces { bwrap }) => {
                // It must not die of what is meant for its tree.
                fork::ignore_ends();
                let env: Vec<CString> = self.inside.env.into_iter().filter(is_mark).collect();
                match keep_open([theirs.as_fd()].into_iter().chain(files.fds())) {
                    Ok(()) => fault(Stage::Confine, &fork::execute(&bwrap, &files.argv(&bwrap, &theirs), &env)),
                    Err(error) => fault(Stage::Confine, &error),
                }
            }
            (Some((theirs, _)), ..) => init::become_init(&self.inside, theirs),
            (None, ..) => self.inside.become_program(),
        }
    }

    /// In the warden, after the fork: the way to the tree's init. None where the child is the program itself.
    #[must_use]
    pub fn into_control(self) -> Option<Control> {
        let (_theirs, ours) = self.ways?;
        Some(Control::new(ours))
    }
}

impl Inside {
    /// Gives up what is not the agent's, and becomes it; returns why not.
    fn become_program(&self) -> Fault {
        let confined = (|| {
            fork::close_others()?;
            drop_capabilities()?;
            paths::restrict(&self.read, &self.write, self.alone)
        })();
        if let Err(error) = confined {
            return fault(Stage::Confine, &error);
        }
        let cwd = std::ffi::OsStr::new(self.cwd.to_str().unwrap_or_default());
        if let Err(error) = std::env::set_current_dir(cwd) {
            return fault(Stage::Directory, &error);
        }
        if let Err(error) = calls::restrict(self.alone, self.network) {
            return fault(Stage::Confine, &error);
        }
        fault(Stage::Exec, &fork::execute(&self.program, &self.argv, &self.env))
    }
}

/// Gives up all that root may do beyond its files; others have nothing to give up.
fn drop_capabilities() -> io::Result<()> {
    use rustix::thread::{CapabilitySet, CapabilitySets};
    for capability in CapabilitySet::all().iter() {
        // Refused to those who can't gain any either.
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
    let _ = rustix::thread::clear_ambient_capability_set();
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    Ok(())
}

fn has_network(tier: &Tier) -> bool {
    match tier {
        Tier::Namespaces { .. } => true,
        Tier::Landlock { clone_flags } => clone_flags & init::NEWNET != 0,
    }
}

/// What tells whose a process is: bwrap carries it too, and nothing else of what the agent gets.
fn is_mark(pair: &CString) -> bool {
    pair.as_bytes().starts_with(b"NEXUS_")
}

fn keep_open<'a>(fds: impl Iterator<Item = BorrowedFd<'a>>) -> io::Result<()> {
    for fd in fds {
        fcntl_setfd(fd, FdFlags::empty())?;
    }
    Ok(())
}

fn refused(why: &str) -> Fault {
    Fault { stage: Stage::Confine, errno: 0, detail: why.to_owned() }
}

/// The arguments of [`inside`], as bwrap is given them.
fn words(theirs: &OwnedFd, spec: &OwnedFd) -> [String; 3] {
    use std::os::fd::AsRawFd;
    ["inside".to_owned(), theirs.as_raw_fd().to_string(), spec.as_raw_fd().to_string()]
}
