//! A job object for each tree: all that the leader starts is in it, and ends with it, also when the company is killed.
//!
//! An interrupt and a TERM are a Ctrl+Break, which console programs hear; there is nothing else between asking and killing.

use std::io;
use std::os::windows::process::CommandExt;

use nexus_core::attempt::{ExitStatus, Signal};
use nexus_warden::protocol::Limits;
use tokio::process::Child;
use windows_sys::Win32::System::Threading::{CREATE_NEW_PROCESS_GROUP, CREATE_SUSPENDED};

use super::bounds::JobBounds;
use super::job::{self, Job};
use crate::command::Command;

#[derive(Debug)]
pub(super) struct Hold(Job);

/// It doesn't run before it is in its job: what it starts can't be elsewhere.
pub(crate) fn lead(std: &mut std::process::Command, _: &Command) {
    std.creation_flags(CREATE_SUSPENDED | CREATE_NEW_PROCESS_GROUP);
}

impl Hold {
    pub(super) fn of(child: &Child, limits: &Limits) -> io::Result<Self> {
        let processors =
            std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1));
        let job = Job::new(JobBounds::new(limits, processors))?;
        let gone = || io::Error::other("it has ended already");
        job.take(child.raw_handle().ok_or_else(gone)?, child.id().ok_or_else(gone)?)?;
        Ok(Self(job))
    }
}

pub(super) fn signal(hold: &Hold, leader: u32, signal: Signal) {
    match signal {
        Signal::Interrupt | Signal::Terminate => job::interrupt(leader),
        Signal::Kill => hold.0.terminate(),
    }
}

pub(super) fn exists(hold: &Hold, _: u32) -> bool {
    !hold.0.is_empty()
}

/// There are no zombies in a job.
pub(super) fn living(hold: &Hold, leader: u32, _: Vec<u32>) -> Vec<u32> {
    if hold.0.is_empty() { Vec::new() } else { vec![leader] }
}

pub(crate) fn exit_status(status: std::process::ExitStatus) -> ExitStatus {
    ExitStatus::Code(status.code().unwrap_or(-1))
}
