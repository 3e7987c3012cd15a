//! One tree of processes: starting it, signalling it, and the task that owns it until the end.
//!
//! Who may signal what: a group's number is the leader's pid, and the kernel keeps it while the leader is not reaped *or*
//! any process (a zombie too) is in the group. So a signal goes to the right processes unless the group has emptied unseen.
//! After the leader's end the owner looks at least every 50 ms, and once it has seen the group empty no signal is sent
//! any more (`Group::close`). In between the number can't come back: pids are handed out in a circle, so a number just
//! freed is used again only after all the others (32,768 at the least).

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nexus_core::attempt::{ExitStatus, Signal};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::command::{Command, Stdin};
use crate::error::SpawnError;
use crate::events::{Events, OutputPolicy};
use crate::group::{self, Group};
use crate::lines::Split;
use crate::program;

/// A running tree. Dropping it kills the tree; [`Gone`] still says when that has happened.
#[derive(Debug)]
pub struct Tree {
    group: Arc<Group>,
    phase: watch::Receiver<Phase>,
}

/// How far a tree's life has come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Phase {
    Running,
    /// The leader has ended.
    Left(ExitStatus),
    /// No process of the group is alive.
    Gone(ExitStatus),
}

/// Knows when no process of a tree is alive any more, also after the [`Tree`] was dropped.
#[derive(Clone, Debug)]
pub struct Gone {
    phase: watch::Receiver<Phase>,
}

impl Gone {
    /// Returns when no process of the tree is alive; never when the runtime that owned the tree was shut down before.
    pub async fn wait(mut self) {
        if self.phase.wait_for(|phase| matches!(phase, Phase::Gone(_))).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Gone(_))
    }
}

impl Tree {
    /// Starts `command` as the leader of a new process group. To be called within a tokio runtime.
    pub fn spawn(command: &Command, output: OutputPolicy) -> Result<(Self, Events), SpawnError> {
        Self::spawn_split(command, Split::Lines(output.max_line.max(1)))
    }

    pub(crate) fn spawn_split(command: &Command, split: Split) -> Result<(Self, Events), SpawnError> {
        let program = program::find(command)?;
        let mut child =
            start(command, &program).map_err(|source| SpawnError::from_system(command, &program, source))?;
        let group = Arc::new(Group::new(child.id().unwrap_or_default()));
        let (sender, phase) = watch::channel(Phase::Running);
        let events = Events::new(child.stdout.take(), child.stderr.take(), split, phase.clone());
        let feeder = match (&command.stdin, child.stdin.take()) {
            (Stdin::Bytes(bytes), Some(pipe)) => Some(tokio::spawn(feed(pipe, bytes.clone()))),
            _ => None,
        };
        let owner = Owner { group: Arc::clone(&group), child, phase: sender, feeder };
        tokio::spawn(owner.run());
        Ok((Self { group, phase }, events))
    }

    /// The leader's pid, which is the group's number too.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.group.leader()
    }

    /// Signals every process of the tree; nothing happens when it is gone.
    pub fn signal(&self, signal: Signal) {
        self.group.signal(signal);
    }

    #[must_use]
    pub fn gone(&self) -> Gone {
        Gone { phase: self.phase.clone() }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.group.abandon();
    }
}

fn start(command: &Command, program: &std::path::Path) -> std::io::Result<Child> {
    let mut std = std::process::Command::new(program);
    std.args(&command.args)
        .current_dir(&command.cwd)
        .env_clear()
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .stdin(match command.stdin {
            Stdin::Closed => Stdio::null(),
            Stdin::Bytes(_) => Stdio::piped(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    group::lead(&mut std, command);
    tokio::process::Command::from(std).spawn()
}

/// A reader that goes away before the end is no error.
async fn feed(mut pipe: ChildStdin, bytes: bytes::Bytes) {
    if let Err(error) = pipe.write_all(&bytes).await {
        tracing::trace!(%error, "standard input was not read to its end");
    }
}

/// Polling while a group that has lost its leader ends: soon at first, for the common quick end.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const LATER_LOOK: Duration = Duration::from_millis(50);

/// Waits for the tree's end. It outlives the [`Tree`], and kills the group if it is dropped itself, with its runtime.
struct Owner {
    group: Arc<Group>,
    child: Child,
    phase: watch::Sender<Phase>,
    feeder: Option<JoinHandle<()>>,
}

impl Owner {
    async fn run(mut self) {
        let status = self.leader_exit().await;
        self.phase.send_replace(Phase::Left(status));
        self.until_empty().await;
        self.group.close();
        self.phase.send_replace(Phase::Gone(status));
    }

    async fn leader_exit(&mut self) -> ExitStatus {
        loop {
            tokio::select! {
                status = self.child.wait() => return match status {
                    Ok(status) => group::exit_status(status),
                    Err(error) => {
                        // As when SIGCHLD is ignored by whoever started us: then the kernel throws the status away.
                        tracing::error!(pid = self.group.leader(), %error, "the exit status of a process is lost");
                        ExitStatus::Code(-1)
                    }
                },
                () = self.group.nudged() => group::end_leader(&mut self.child, &self.group),
            }
        }
    }

    async fn until_empty(&self) {
        let mut members = Vec::new();
        let mut pause = FIRST_LOOK;
        while self.group.exists() {
            let group = Arc::clone(&self.group);
            members = match tokio::task::spawn_blocking(move || group.living(members)).await {
                Ok(living) if living.is_empty() => return,
                Ok(living) => living,
                // The runtime shuts down: nothing was seen, so nothing is claimed.
                Err(_) => Vec::new(),
            };
            if self.group.is_abandoned() {
                self.group.kill_again();
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LATER_LOOK),
                () = self.group.nudged() => pause = FIRST_LOOK,
            }
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(feeder) = &self.feeder {
            feeder.abort();
        }
        self.group.abandon();
    }
}
