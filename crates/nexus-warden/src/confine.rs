//! Confinement: what becomes of a forked child before it is the agent.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd};

use crate::protocol::{Confinement, Exit, Fault, Signal, Stage, Start};

/// A confinement made ready before the fork.
#[derive(Debug)]
pub struct Plan {}

/// What a confined tree's init says.
#[derive(Debug)]
pub enum Inner {
    /// The program runs; its pid, as seen from here. A listener comes with [`crate::protocol::Network::Proxy`].
    Started {
        pid: u32,
        listener: Option<std::os::fd::OwnedFd>,
    },
    NotStarted(Fault),
    LeaderExited(Exit),
}

impl Plan {
    /// # Errors
    /// When the machine can't do what the tier says.
    pub fn new(_start: &Start, _confinement: &Confinement) -> Result<Self, Fault> {
        Err(Fault { stage: Stage::Confine, errno: 0, detail: "confinement is not built yet".to_owned() })
    }

    /// The namespaces that the child is to be made in.
    #[must_use]
    pub fn clone_flags(&self) -> u64 {
        0
    }

    /// In the forked child: becomes the program, or its init. Returns only when that failed. `stdio` are standard input
    /// (none: empty), output, error.
    pub fn enter(self, _stdio: [Option<BorrowedFd<'_>>; 3]) -> Fault {
        Fault { stage: Stage::Confine, errno: 0, detail: String::new() }
    }

    /// In the warden, after the fork: the way to the tree's init. None where the child is the program itself.
    #[must_use]
    pub fn into_control(self) -> Option<Control> {
        None
    }
}

/// The warden's end of the way to a tree's init.
#[derive(Debug)]
pub struct Control {}

impl Control {
    /// To be polled for reading.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        let none: Option<&std::os::fd::OwnedFd> = None;
        none.map(AsFd::as_fd)
    }

    /// The next thing that the init says, if it is there. An error: the init is gone.
    ///
    /// # Errors
    /// The init is gone.
    pub fn read(&mut self) -> std::io::Result<Option<Inner>> {
        Ok(None)
    }

    /// Has the init signal its tree.
    pub fn signal(&self, _signal: Signal) {}
}

/// The init of a confined tree, as a program of its own (started by bwrap). A failure means that it could not even say what
/// is wrong.
pub fn inside(_args: impl Iterator<Item = OsString>) -> std::process::ExitCode {
    std::process::ExitCode::FAILURE
}
