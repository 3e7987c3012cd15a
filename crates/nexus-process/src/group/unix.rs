//! Process groups by signals. Linux looks into `/proc` to tell zombies from processes; elsewhere a zombie that nobody
//! reaps counts as a process.

use std::os::unix::process::{CommandExt, ExitStatusExt};

use nexus_core::attempt::{ExitStatus, Signal};
use nexus_warden::protocol::Limits;
use rustix::io::Errno;
use rustix::process::{Pid, kill_process_group, test_kill_process_group};
use tokio::process::Child;

use crate::command::Command;

/// The kernel holds the group, by its leader's number.
#[derive(Debug)]
pub(super) struct Hold;

impl Hold {
    /// Limits are the warden's to set; without wardens a shell sets those of each process.
    #[expect(clippy::unnecessary_wraps, reason = "the same as where it can fail")]
    pub(super) const fn of(_: &Child, _: &Limits) -> std::io::Result<Self> {
        Ok(Self)
    }
}

/// Makes the child the leader of a group of its own, under the name it was asked for by. Both keep to the standard library's
/// `posix_spawn`; a `pre_exec` would not, and a fork of a big process costs 10 to 100 times as much.
pub(crate) fn lead(std: &mut std::process::Command, command: &Command) {
    std.process_group(0).arg0(&command.program);
}

pub(super) fn signal(_: &Hold, leader: u32, signal: Signal) {
    let number = match signal {
        Signal::Interrupt => rustix::process::Signal::INT,
        Signal::Terminate => rustix::process::Signal::TERM,
        Signal::Kill => rustix::process::Signal::KILL,
    };
    let Some(group) = pid(leader) else { return };
    match kill_process_group(group, number) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => tracing::warn!(group = leader, ?signal, %error, "a process group could not be signalled"),
    }
}

pub(super) fn exists(_: &Hold, leader: u32) -> bool {
    pid(leader).is_some_and(|group| test_kill_process_group(group) != Err(Errno::SRCH))
}

pub(super) fn living(hold: &Hold, leader: u32, known: Vec<u32>) -> Vec<u32> {
    #[cfg(target_os = "linux")]
    if let Some(living) = super::procfs::living(leader, known) {
        return living;
    }
    #[cfg(not(target_os = "linux"))]
    drop(known);
    if exists(hold, leader) { vec![leader] } else { Vec::new() }
}

pub(crate) fn exit_status(status: std::process::ExitStatus) -> ExitStatus {
    match (status.code(), status.signal()) {
        (Some(code), _) => ExitStatus::Code(code),
        (None, Some(signal)) => ExitStatus::Signal(signal),
        (None, None) => ExitStatus::Code(-1),
    }
}

/// Never 0, which would mean our own group.
fn pid(leader: u32) -> Option<Pid> {
    i32::try_from(leader).ok().and_then(Pid::from_raw)
}
