//! Keeping wardens: one for each tree that is alive, and the idle ones for those to come.

use std::collections::VecDeque;
use std::ffi::NulError;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nexus_core::attempt::{ExitStatus, Signal};
use nexus_warden::protocol::{self, Exit, Fault, Groups, Order, Report as Told};
use rustix::process::{Pid, kill_process};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;

use super::link::Link;
use super::{Launch, Started, order};
use crate::command::{Stdin, StdinWriter};
use crate::error::SpawnError;
use crate::events::{Events, Source};
use crate::lines::Split;
use crate::marked::end_marked;
use crate::program;
use crate::tree::{Limit, Phase, Report, Tree, feed};

/// The wardens of a node.
#[derive(Clone, Debug, Default)]
pub struct Wardens {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    groups: Groups,
    names: AtomicU64,
    /// Those that keep nothing, the last used at the back: at most as many as there were trees at once within `IDLE`.
    idle: Mutex<VecDeque<(Link, Instant)>>,
}

/// The time for which a warden that isn't used is kept, a megabyte each.
const IDLE: Duration = Duration::from_secs(60);
/// Signals for a tree that wait: there are three, and they don't repeat often.
const SIGNALS: usize = 8;
/// The time between two KILLs for a tree that nobody holds any more.
const KILL_AGAIN: Duration = Duration::from_millis(100);
/// The longest time that one pass at ending what a killed warden has left may take.
const PASS: Duration = Duration::from_secs(10);

impl Wardens {
    /// Wardens that put what they keep into these control groups.
    #[must_use]
    pub fn new(groups: Groups) -> Self {
        Self { shared: Arc::new(Shared { groups, names: AtomicU64::new(0), idle: Mutex::default() }) }
    }

    /// Starts a program. Dropped before it is ready, it ends whatever was started; but only what it returns proves that
    /// that has happened.
    ///
    /// # Errors
    /// When it can't be started as it was to be.
    pub async fn start(&self, launch: &Launch) -> Result<Started, SpawnError> {
        let command = &launch.command;
        let program = program::find(command, &launch.overlays)?;
        let lost = |source| SpawnError::Warden { doing: "be started".to_owned(), source };
        let zero = |source: NulError| SpawnError::from_system(command, &program, source.into());
        let (stdout, agents_stdout) = output().map_err(lost)?;
        let (stderr, agents_stderr) = output().map_err(lost)?;
        let mut fds = vec![agents_stdout, agents_stderr];
        let input = match &command.stdin {
            Stdin::Closed => None,
            Stdin::Bytes(_) | Stdin::Piped => {
                let (sender, receiver) = pipe::pipe().map_err(lost)?;
                fds.push(receiver.into_blocking_fd().map_err(lost)?);
                Some(sender)
            }
        };
        let link = self.take().await.map_err(lost)?;
        let id = link.trees;
        let start = order::start(id, &program, launch).map_err(zero)?;
        let (orders, receiver) = mpsc::channel(SIGNALS);
        let (phase_sender, phase) = watch::channel(Phase::Running);
        let (started_sender, started) = oneshot::channel();
        let warden = link.pid;
        let owner = Owner {
            wardens: self.clone(),
            link,
            id,
            orders: receiver,
            abandoned: false,
            phase: phase_sender,
            mark: launch.mark.clone(),
        };
        tokio::spawn(owner.run(Order::Start(Box::new(start)), fds, started_sender));
        // Dropped with the future, it says that nobody wants the tree.
        let orders = orders;
        let (leader, listener) = match started.await {
            Ok(Ok(started)) => started,
            Ok(Err(Refusal::Fault(fault))) => return Err(order::meaning(command, &program, launch, fault)),
            Ok(Err(Refusal::Lost(source))) => return Err(lost(source)),
            Err(_) => return Err(lost(io::Error::other("the runtime shuts down"))),
        };
        let stdin = match (&command.stdin, input) {
            (Stdin::Bytes(bytes), Some(sender)) => {
                tokio::spawn(feed(sender, bytes.clone()));
                None
            }
            (_, sender) => sender.map(StdinWriter::new),
        };
        let split = Split::Lines(launch.output.max_line.max(1));
        let events = Events::new(Some(stdout), Some(stderr), split, launch.output.redact.as_ref(), phase.clone());
        let tree = Tree::of_warden(Hold { leader, warden, orders }, phase);
        Ok(Started { tree, events, listener: listener.map(Into::into), stdin })
    }

    /// An idle warden, or a new one.
    async fn take(&self) -> io::Result<Link> {
        let idle = std::iter::from_fn(|| self.lock().pop_back()).map(|(link, _)| link).find(Link::is_quiet);
        let mut link = match idle {
            Some(link) => link,
            None => {
                let mut link = Link::start()?;
                if self.shared.groups != Groups::default() {
                    let name = format!("w{}", self.shared.names.fetch_add(1, Ordering::Relaxed));
                    link.groups = Some(name.clone());
                    link.send(&Order::Enter { root: self.shared.groups.clone(), name }, &[]).await?;
                }
                link
            }
        };
        link.trees += 1;
        Ok(link)
    }

    fn put_back(&self, link: Link) {
        let now = Instant::now();
        let mut idle = self.lock();
        idle.push_back((link, now));
        while idle.front().is_some_and(|(_, since)| now.duration_since(*since) > IDLE) {
            idle.pop_front();
        }
    }

    /// Lets the idle wardens go, waits for their end, and removes the control groups, if nothing lives in them any more.
    pub async fn close(&self) {
        let idle = std::mem::take(&mut *self.lock());
        for (link, _) in idle {
            link.close().await;
        }
        self.shared.groups.remove_whole();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(Link, Instant)>> {
        self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hold on a tree that a warden keeps: when it is dropped, the tree is killed.
#[derive(Debug)]
pub(crate) struct Hold {
    leader: u32,
    warden: u32,
    orders: mpsc::Sender<Signal>,
}

impl Hold {
    pub(crate) const fn leader(&self) -> u32 {
        self.leader
    }

    pub(crate) const fn pid(&self) -> u32 {
        self.warden
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // When it is full the same signals wait already; when it is closed the tree is gone.
        let _ = self.orders.try_send(signal);
    }
}

type Begun = Result<(u32, Option<OwnedFd>), Refusal>;

enum Refusal {
    Fault(Fault),
    Lost(io::Error),
}

/// Sees one tree to its end, whoever still wants to know.
struct Owner {
    wardens: Wardens,
    link: Link,
    id: u64,
    orders: mpsc::Receiver<Signal>,
    /// Nobody holds the tree.
    abandoned: bool,
    phase: watch::Sender<Phase>,
    mark: (String, String),
}

impl Owner {
    async fn run(mut self, start: Order, fds: Vec<OwnedFd>, started: oneshot::Sender<Begun>) {
        let sent = self.link.send(&start, &fds).await;
        // The agent's ends: while one of ours is open, its stream doesn't end.
        drop(fds);
        drop(start);
        let mut started = Some(started);
        let result = match sent {
            Ok(()) => self.keep(&mut started).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(Some(report)) => {
                self.phase.send_replace(Phase::Gone(report));
                self.wardens.put_back(self.link);
            }
            Ok(None) => self.wardens.put_back(self.link),
            Err(error) => {
                tracing::warn!(warden = self.link.pid, "a warden was lost: {error}");
                let Self { link, phase, mark, wardens, .. } = self;
                let groups = link.groups.clone();
                // It ends what it keeps, if it still can.
                drop(link);
                let ending = tokio::task::spawn_blocking(move || {
                    groups.into_iter().for_each(|name| wardens.shared.groups.end(&name));
                });
                // An error means that the runtime is being shut down.
                let _ = ending.await;
                end_what_is_left(&mark).await;
                if let Some(started) = started {
                    let _ = started.send(Err(Refusal::Lost(error)));
                }
                let exit = match *phase.borrow() {
                    Phase::Left(exit, _) => exit,
                    _ => ExitStatus::Signal(9),
                };
                phase.send_replace(Phase::Gone(Report { exit, peak_memory: None, cpu_time: None, limit: None }));
            }
        }
    }

    /// Passes on orders and reports; returns how the tree has ended, none if it was not started.
    async fn keep(&mut self, started: &mut Option<oneshot::Sender<Begun>>) -> io::Result<Option<Report>> {
        let mut limit = None;
        loop {
            tokio::select! {
                told = self.link.receive() => {
                    let (told, fd) = told?;
                    match told {
                        Told::Started { pid, .. } => {
                            if let Some(started) = started.take() {
                                let _ = started.send(Ok((pid, fd)));
                            }
                        }
                        Told::NotStarted { fault, .. } => {
                            if let Some(started) = started.take() {
                                let _ = started.send(Err(Refusal::Fault(fault)));
                            }
                            return Ok(None);
                        }
                        Told::LimitHit { limit: hit, .. } => {
                            limit = Some(limit_of(hit));
                            self.phase.send_if_modified(|phase| {
                                let runs = matches!(phase, Phase::Running);
                                if runs {
                                    *phase = Phase::Limited(limit_of(hit));
                                }
                                runs
                            });
                        }
                        Told::LeaderExited { exit, .. } => {
                            self.phase.send_replace(Phase::Left(exit_of(exit), limit));
                        }
                        Told::Gone { end, .. } => return Ok(Some(Report {
                            exit: exit_of(end.exit),
                            peak_memory: end.peak_memory,
                            cpu_time: Some(Duration::from_micros(end.cpu_us)),
                            limit: end.limit.map(limit_of),
                        })),
                    }
                }
                order = self.orders.recv(), if !self.abandoned => match order {
                    Some(signal) => self.signal(signal).await?,
                    None => {
                        self.abandoned = true;
                        self.end(started.is_none()).await?;
                    }
                },
                () = sleep(KILL_AGAIN), if self.abandoned => self.end(started.is_none()).await?,
            }
        }
    }

    /// Ends a tree that nobody holds.
    async fn end(&self, has_begun: bool) -> io::Result<()> {
        if !has_begun {
            end_what_begins(self.link.pid);
        }
        self.signal(Signal::Kill).await
    }

    async fn signal(&self, signal: Signal) -> io::Result<()> {
        let signal = match signal {
            Signal::Interrupt => protocol::Signal::Interrupt,
            Signal::Terminate => protocol::Signal::Terminate,
            Signal::Kill => protocol::Signal::Kill,
        };
        self.link.send(&Order::Signal { id: self.id, signal }, &[]).await
    }
}

/// Ends what a warden is starting. Until that has become the program the warden may stand still, and so can't be told to: for
/// long, where a file system doesn't answer. Nor does it reap meanwhile: the numbers are its children's.
fn end_what_begins(warden: u32) {
    let children = std::fs::read_to_string(format!("/proc/{warden}/task/{warden}/children")).unwrap_or_default();
    for pid in children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok().and_then(Pid::from_raw)) {
        let _ = kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// Ends what a warden that was killed has left behind; returns when nothing of it is alive.
async fn end_what_is_left((name, value): &(String, String)) {
    loop {
        let (name, value) = (name.clone(), value.clone());
        let runtime = tokio::runtime::Handle::current();
        // It reads /proc, which blocks.
        let looking = move || runtime.block_on(end_marked(&name, &value, PASS));
        // An error means that the runtime is being shut down.
        let Ok(left) = tokio::task::spawn_blocking(looking).await else { return };
        if left.are_gone() {
            return;
        }
        tracing::warn!("processes of a lost warden can't be ended (pids {:?})", left.alive);
    }
}

const fn exit_of(exit: Exit) -> ExitStatus {
    match exit {
        Exit::Code(code) => ExitStatus::Code(code),
        Exit::Signal(signal) => ExitStatus::Signal(signal),
    }
}

const fn limit_of(limit: protocol::Limit) -> Limit {
    match limit {
        protocol::Limit::Memory => Limit::Memory,
        protocol::Limit::Processes => Limit::Processes,
        protocol::Limit::Time => Limit::Time,
    }
}

fn output() -> io::Result<(Source, OwnedFd)> {
    // Of the end that an agent gets the runtime knows nothing: to be told of it and to forget it again are two system calls.
    let (reader, writer) = io::pipe()?;
    Ok((Box::new(pipe::Receiver::from_owned_fd(reader.into())?), writer.into()))
}
