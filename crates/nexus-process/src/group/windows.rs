//! Without process groups, as on Windows until job objects are used: the leader alone is ended, and an interrupt is not
//! delivered.

use nexus_core::attempt::{ExitStatus, Signal};
use tokio::process::Child;

use super::Group;
use crate::command::Command;

pub(crate) const fn lead(_: &mut std::process::Command, _: &Command) {}

/// The owner of the leader ends it when it is nudged.
pub(super) const fn signal(_: u32, _: Signal) {}

/// Asked only after the leader's end.
pub(super) const fn exists(_: u32) -> bool {
    false
}

pub(super) fn living(_: u32, _: Vec<u32>) -> Vec<u32> {
    Vec::new()
}

pub(crate) fn end_leader(child: &mut Child, group: &Group) {
    if group.is_end_wanted()
        && let Err(error) = child.start_kill()
    {
        tracing::warn!(pid = group.leader(), %error, "a process could not be ended");
    }
}

pub(crate) fn exit_status(status: std::process::ExitStatus) -> ExitStatus {
    ExitStatus::Code(status.code().unwrap_or(-1))
}
