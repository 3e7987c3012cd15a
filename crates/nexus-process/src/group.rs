//! A process group, or a job on Windows, that may be signalled until it was seen empty.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use nexus_core::attempt::Signal;
use nexus_warden::protocol::Limits;
use tokio::process::Child;
use tokio::sync::Notify;

pub(crate) mod bounds;
#[cfg(windows)]
mod job;

#[cfg(target_os = "linux")]
pub(crate) mod procfs;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as system;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as system;

pub(crate) use system::{exit_status, lead};

#[derive(Debug)]
pub(crate) struct Group {
    leader: u32,
    hold: system::Hold,
    /// Seen empty: its number may belong to others now. The lock is held while a signal is sent.
    closed: Mutex<bool>,
    /// Nobody wants it any more: it is killed until it is empty.
    abandoned: AtomicBool,
    /// Told when somebody signals, so that the owner looks soon.
    nudge: Notify,
}

impl Group {
    /// That of a child that was made to [`lead`]; where the system can hold limits for it, it does.
    pub(crate) fn of(child: &Child, limits: &Limits) -> std::io::Result<Self> {
        Ok(Self {
            leader: child.id().unwrap_or_default(),
            hold: system::Hold::of(child, limits)?,
            closed: Mutex::new(false),
            abandoned: AtomicBool::new(false),
            nudge: Notify::new(),
        })
    }

    pub(crate) const fn leader(&self) -> u32 {
        self.leader
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.send(signal);
        self.nudge.notify_one();
    }

    /// Kills what is there; the owner's own repetition.
    pub(crate) fn kill_again(&self) {
        self.send(Signal::Kill);
    }

    fn send(&self, signal: Signal) {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if !*closed {
            system::signal(&self.hold, self.leader, signal);
        }
    }

    /// Kills it, now and again until it is empty.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        self.signal(Signal::Kill);
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    /// No signal is sent after this.
    pub(crate) fn close(&self) {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    pub(crate) async fn nudged(&self) {
        self.nudge.notified().await;
    }

    /// The cheap look, which takes zombies for processes.
    pub(crate) fn exists(&self) -> bool {
        system::exists(&self.hold, self.leader)
    }

    /// The thorough look: processes of the group that are alive, empty when there are none. `known` are those of the look
    /// before: while one of them lives, no other is looked for. Blocks for a scan of all processes.
    pub(crate) fn living(&self, known: Vec<u32>) -> Vec<u32> {
        system::living(&self.hold, self.leader, known)
    }
}
