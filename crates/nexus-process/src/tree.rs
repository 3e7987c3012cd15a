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
use nexus_warden::protocol::Limits;
use tokio::io::{AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::process::Child;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::command::{Command, Stdin, StdinWriter};
use crate::error::SpawnError;
use crate::events::{Events, OutputPolicy, Source};
use crate::group::{self, Group};
use crate::lines::Split;
use crate::program;
use crate::redact::Redactor;
use crate::sampler::Target;

/// A running tree. Dropping it kills the tree; [`Gone`] still says when that has happened.
#[derive(Debug)]
pub struct Tree {
    hold: Hold,
    phase: watch::Receiver<Phase>,
}

/// Who does what is asked of a tree.
#[derive(Debug)]
pub(crate) enum Hold {
    /// A process group of our own child.
    Group(Arc<Group>),
    /// A warden, which keeps the tree for us.
    #[cfg(warden)]
    Warden(crate::wardens::Hold),
    /// Somebody else, such as a container engine; and what it calls the leader.
    Remote { signals: mpsc::Sender<Signal>, leader: u32 },
}

/// The keeper of a tree that is none of our own processes: it is asked for signals, and tells what the tree prints and how it ends.
/// Dropped without [`Remote::gone`], nobody ever learns that the tree is gone.
#[derive(Debug)]
pub struct Remote {
    /// Closed when nobody holds the tree any more, which has to be killed then.
    pub signals: mpsc::Receiver<Signal>,
    /// The output of the tree; whoever writes here waits until it is read. To be dropped at the end of each stream.
    pub stdout: DuplexStream,
    pub stderr: DuplexStream,
    pub phase: Told,
}

/// Tells how far a tree's life has come.
#[derive(Debug)]
pub struct Told(watch::Sender<Phase>);

/// As much as a pipe holds.
const PIPE: usize = 64 * 1024;
/// Signals that wait: there are three, and they don't repeat often.
const SIGNALS: usize = 8;

impl Told {
    /// It has hit a limit, and lives or has just ended.
    pub fn limited(&self, limit: Limit) {
        self.0.send_if_modified(|phase| {
            let runs = matches!(phase, Phase::Running);
            if runs {
                *phase = Phase::Limited(limit);
            }
            runs
        });
    }

    /// The leader has ended.
    pub fn left(&self, exit: ExitStatus) {
        self.0.send_modify(|phase| {
            *phase = match phase {
                Phase::Limited(limit) => Phase::Left(exit, Some(*limit)),
                _ => Phase::Left(exit, None),
            }
        });
    }

    /// Nothing of it is alive.
    pub fn gone(self, report: Report) {
        self.0.send_replace(Phase::Gone(report));
    }
}

/// The stage of a tree's life.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Phase {
    Running,
    /// One of its limits was hit; it lives until somebody ends it.
    Limited(Limit),
    /// The leader has ended, perhaps after it had hit a limit.
    Left(ExitStatus, Option<Limit>),
    /// No process of the tree is alive.
    Gone(Report),
}

/// The end of a tree, and what it has used, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The leader's end.
    pub exit: ExitStatus,
    /// Bytes: of all its processes where control groups count them, else of the biggest.
    pub peak_memory: Option<u64>,
    /// Of all its processes together.
    pub cpu_time: Option<Duration>,
    /// The limit that it hit.
    pub limit: Option<Limit>,
}

/// A limit that a tree can hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    Memory,
    Processes,
    /// The warden's own deadline, which is for a runtime that doesn't keep its own.
    Time,
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

    /// Its end, once it has ended.
    #[must_use]
    pub fn report(&self) -> Option<Report> {
        match *self.phase.borrow() {
            Phase::Gone(report) => Some(report),
            _ => None,
        }
    }
}

impl Tree {
    /// Starts `command` as the leader of a new process group. To be called within a tokio runtime.
    pub fn spawn(command: &Command, output: &OutputPolicy) -> Result<(Self, Events), SpawnError> {
        let (tree, events, _) = Self::spawn_piped(command, output)?;
        Ok((tree, events))
    }

    /// The same with what writes to its standard input, if that is [`Stdin::Piped`].
    pub fn spawn_piped(
        command: &Command,
        output: &OutputPolicy,
    ) -> Result<(Self, Events, Option<StdinWriter>), SpawnError> {
        Self::spawn_limited(command, &Limits::default(), output)
    }

    /// The same with limits, as far as this system holds any for a group without a warden.
    pub(crate) fn spawn_limited(
        command: &Command,
        limits: &Limits,
        output: &OutputPolicy,
    ) -> Result<(Self, Events, Option<StdinWriter>), SpawnError> {
        Self::spawn_split(command, limits, Split::Lines(output.max_line.max(1)), output.redact.as_ref())
    }

    pub(crate) fn spawn_split(
        command: &Command,
        limits: &Limits,
        split: Split,
        redact: Option<&Redactor>,
    ) -> Result<(Self, Events, Option<StdinWriter>), SpawnError> {
        let program = program::find(command, &[])?;
        let mut child =
            start(command, &program).map_err(|source| SpawnError::from_system(command, &program, source))?;
        let group = Group::of(&child, limits).inspect_err(|_| drop(child.start_kill()));
        let group = Arc::new(group.map_err(|source| SpawnError::from_system(command, &program, source))?);
        let (sender, phase) = watch::channel(Phase::Running);
        let stdout = child.stdout.take().map(|pipe| Box::new(pipe) as Source);
        let stderr = child.stderr.take().map(|pipe| Box::new(pipe) as Source);
        let events = Events::new(stdout, stderr, split, redact, phase.clone());
        let (feeder, stdin) = match (&command.stdin, child.stdin.take()) {
            (Stdin::Bytes(bytes), Some(pipe)) => (Some(tokio::spawn(feed(pipe, bytes.clone()))), None),
            (_, pipe) => (None, pipe.map(StdinWriter::new)),
        };
        let owner = Owner { group: Arc::clone(&group), child, phase: sender, feeder };
        tokio::spawn(owner.run());
        Ok((Self { hold: Hold::Group(group), phase }, events, stdin))
    }

    #[cfg(warden)]
    pub(crate) const fn of_warden(hold: crate::wardens::Hold, phase: watch::Receiver<Phase>) -> Self {
        Self { hold: Hold::Warden(hold), phase }
    }

    /// A tree that somebody else keeps, and what whoever does tells us by. `leader`: what he calls it.
    #[must_use]
    pub fn remote(leader: u32, output: &OutputPolicy) -> (Self, Events, Remote) {
        let (signals, asked) = mpsc::channel(SIGNALS);
        let (told, phase) = watch::channel(Phase::Running);
        let [(stdout, out), (stderr, err)] = [tokio::io::duplex(PIPE), tokio::io::duplex(PIPE)];
        let split = Split::Lines(output.max_line.max(1));
        let source = |stream| Some(Box::new(stream) as Source);
        let events = Events::new(source(out), source(err), split, output.redact.as_ref(), phase.clone());
        let remote = Remote { signals: asked, stdout, stderr, phase: Told(told) };
        (Self { hold: Hold::Remote { signals, leader }, phase }, events, remote)
    }

    /// The leader's pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        match &self.hold {
            Hold::Remote { leader, .. } => *leader,
            Hold::Group(group) => group.leader(),
            #[cfg(warden)]
            Hold::Warden(warden) => warden.leader(),
        }
    }

    /// The process that all of the tree descends from and that is none of it; none where there is no warden.
    #[must_use]
    pub fn warden(&self) -> Option<u32> {
        match &self.hold {
            Hold::Group(_) | Hold::Remote { .. } => None,
            #[cfg(warden)]
            Hold::Warden(warden) => Some(warden.pid()),
        }
    }

    /// Its processes as a sampler knows them; none where they are not on this machine, or in nobody's sight.
    #[must_use]
    pub fn target(&self) -> Option<Target> {
        match &self.hold {
            Hold::Remote { .. } => None,
            _ => Some(self.warden().map_or(Target::Group(self.pid()), Target::Below)),
        }
    }

    /// Signals the tree, the leader's group by an interrupt, and all of it by the others; nothing happens when it is gone.
    pub fn signal(&self, signal: Signal) {
        match &self.hold {
            Hold::Group(group) => group.signal(signal),
            #[cfg(warden)]
            Hold::Warden(warden) => warden.signal(signal),
            // When it is full the same signals wait already; when it is closed the tree is gone.
            Hold::Remote { signals, .. } => drop(signals.try_send(signal)),
        }
    }

    #[must_use]
    pub fn gone(&self) -> Gone {
        Gone { phase: self.phase.clone() }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        match &self.hold {
            Hold::Group(group) => group.abandon(),
            Hold::Remote { .. } => {}
            // It sees that nobody holds the tree any more.
            #[cfg(warden)]
            Hold::Warden(_) => {}
        }
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
            Stdin::Bytes(_) | Stdin::Piped => Stdio::piped(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    group::lead(&mut std, command);
    tokio::process::Command::from(std).spawn()
}

/// A reader that goes away before the end is no error.
pub async fn feed(mut pipe: impl AsyncWrite + Unpin, bytes: bytes::Bytes) {
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
        self.phase.send_replace(Phase::Left(status, None));
        self.until_empty().await;
        self.group.close();
        let report = Report { exit: status, peak_memory: None, cpu_time: None, limit: None };
        self.phase.send_replace(Phase::Gone(report));
    }

    async fn leader_exit(&mut self) -> ExitStatus {
        match self.child.wait().await {
            Ok(status) => group::exit_status(status),
            Err(error) => {
                // As when SIGCHLD is ignored by whoever started us: then the kernel throws the status away.
                tracing::error!(pid = self.group.leader(), %error, "the exit status of a process is lost");
                ExitStatus::Code(-1)
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
