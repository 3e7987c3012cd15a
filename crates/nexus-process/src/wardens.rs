//! The wardens of a node: kept for the next attempt when one is over, replaced when anything about one is odd.
//!
//! Without wardens (other systems than Linux) a tree is a process group, and limits are not enforced here.

use std::time::Duration;

use crate::command::{Command, StdinWriter};
#[cfg(not(warden))]
use crate::error::SpawnError;
use crate::events::{Events, OutputPolicy};
use crate::overlay::Overlay;
use crate::tree::Tree;

#[cfg(warden)]
mod keep;
#[cfg(warden)]
mod link;
#[cfg(warden)]
pub(crate) mod order;
#[cfg(warden)]
mod program;
#[cfg(warden)]
pub(crate) use keep::Hold;
#[cfg(warden)]
pub use keep::Wardens;
#[cfg(warden)]
pub(crate) use program::file as program;
#[cfg(warden)]
pub use program::put;

#[cfg(target_os = "linux")]
pub use nexus_warden::protocol::Groups;
pub use nexus_warden::protocol::{Bind, Confinement, Limits, Maker, Network, Tier};

/// A command to start, and what it is to be started under.
#[derive(Clone, Debug)]
pub struct Launch {
    pub command: Command,
    pub limits: Limits,
    /// None: it can reach what the company's user can.
    pub confinement: Option<Confinement>,
    /// Directories of layers, which only this tree sees mounted. [`Command::cwd`] may lie in one. An upper layer belongs to
    /// one living tree: a second mount of it would spoil both.
    pub overlays: Vec<Overlay>,
    /// When the warden ends it by itself, in case that nobody else does.
    pub kill_after: Option<Duration>,
    /// A variable of the command's environment that is this tree's alone: what is left of a tree whose warden was killed
    /// is known by it.
    pub mark: (String, String),
    pub output: OutputPolicy,
}

/// A tree that was started, and what comes with it.
#[derive(Debug)]
pub struct Started {
    pub tree: Tree,
    pub events: Events,
    /// Of a confinement with a proxy: where its connections come in.
    pub listener: Option<std::net::TcpListener>,
    /// Of a command whose input is [`crate::Stdin::Piped`].
    pub stdin: Option<StdinWriter>,
}

/// The command with a shell before it, where there are limits that only a shell can set.
#[cfg(not(warden))]
fn shelled(launch: &Launch) -> Result<Command, SpawnError> {
    let command = &launch.command;
    if !cfg!(unix) {
        return Ok(command.clone());
    }
    // Looked for as ever, so that its absence is said as ever.
    let program = crate::program::find(command, &[])?;
    Ok(match crate::group::bounds::by_shell(program.as_os_str(), &command.args, &launch.limits) {
        Some((program, args)) => Command { program, args, ..command.clone() },
        None => command.clone(),
    })
}

/// There is none to be put anywhere.
///
/// # Errors
/// Always.
#[cfg(not(warden))]
pub fn put(_: &std::path::Path) -> std::io::Result<std::path::PathBuf> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// The wardens of a node.
#[cfg(not(warden))]
#[derive(Debug, Default)]
pub struct Wardens {}

#[cfg(not(warden))]
impl Wardens {
    /// Starts a program.
    ///
    /// # Errors
    /// When it can't be started; also when it is to be confined, which nothing here can do.
    #[expect(clippy::unused_async, reason = "the same as where there are wardens")]
    pub async fn start(&self, launch: &Launch) -> Result<Started, SpawnError> {
        let wishes = [
            (launch.confinement.is_some(), "confine the agent on this system"),
            (!launch.overlays.is_empty(), "mount a workspace of layers on this system"),
        ];
        if let Some((_, doing)) = wishes.iter().find(|(is_wished, _)| *is_wished) {
            let source = std::io::ErrorKind::Unsupported.into();
            return Err(SpawnError::Warden { doing: (*doing).to_owned(), source });
        }
        let (tree, events, stdin) = Tree::spawn_limited(&shelled(launch)?, &launch.limits, &launch.output)?;
        Ok(Started { tree, events, listener: None, stdin })
    }

    /// There are none.
    #[expect(clippy::unused_async, reason = "the same as where there are wardens")]
    pub async fn close(&self) {}
}
