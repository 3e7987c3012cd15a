//! A process group that may be signalled until it was seen empty.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use nexus_core::attempt::Signal;
use tokio::sync::Notify;

#[cfg(target_os = "linux")]
pub(crate) mod procfs;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as system;
#[cfg(not(unix))]
mod windows;
#[cfg(not(unix))]
use windows as system;

pub(crate) use system::{end_leader, exit_status, lead};

#[derive(Debug)]
pub(crate) struct Group {
    leader: u32,
    /// Seen empty: its number may belong to others now. The lock is held while a signal is sent.
    closed: Mutex<bool>,
    /// Nobody wants it any more: it is killed until it is empty.
    abandoned: AtomicBool,
    /// More than an interrupt was sent: where there are no groups, the owner ends the leader then.
    end_wanted: AtomicBool,
    /// Told when somebody signals, so that the owner looks soon.
    nudge: Notify,
}

impl Group {
    pub(crate) fn new(leader: u32) -> Self {
        Self {
            leader,
            closed: Mutex::new(false),
            abandoned: AtomicBool::new(false),
            end_wanted: AtomicBool::new(false),
            nudge: Notify::new(),
        }
    }

    pub(crate) const fn leader(&self) -> u32 {
        self.leader
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if signal != Signal::Interrupt {
            self.end_wanted.store(true, Ordering::Release);
        }
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
            system::signal(self.leader, signal);
        }
    }

    #[cfg(not(unix))]
    pub(crate) fn is_end_wanted(&self) -> bool {
        self.end_wanted.load(Ordering::Acquire)
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
        system::exists(self.leader)
    }

    /// The thorough look: processes of the group that are alive, empty when there are none. `known` are those of the look
    /// before: while one of them lives, no other is looked for. Blocks for a scan of all processes.
    pub(crate) fn living(&self, known: Vec<u32>) -> Vec<u32> {
        system::living(self.leader, known)
    }
}
