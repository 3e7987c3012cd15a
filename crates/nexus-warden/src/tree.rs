//! One tree of processes: made, signalled, reaped, and known to be gone when the warden has no child left.
//!
//! The warden is the reaper of all its descendants (`PR_SET_CHILD_SUBREAPER`): what loses its parent becomes its child. So
//! "no child is left" (`ECHILD`) is the proof that no process of the tree is alive, whatever it has forked, however it has
//! detached itself.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process, kill_process_group};

use crate::cgroup::Group;
use crate::confine::{Control, Inner, Plan};
use crate::protocol::{End, Exit, Fault, Limit, Report, Signal, Stage, Start};

mod descendants;
pub(crate) mod descriptors;
pub(crate) mod fork;
mod limits;
pub(crate) mod signals;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod vfork;

pub(crate) use fork::Children;
use fork::Outcome;

/// The reports that are told, each with a descriptor if one goes with it.
type Told = Vec<(Report, Option<OwnedFd>)>;

/// The wait for the last descendants between two rounds of KILL, once nobody gives orders any more.
pub(crate) const KILL_AGAIN: Duration = Duration::from_millis(20);

pub(crate) struct Tree {
    pub(crate) id: u64,
    /// The program, or the init of its namespace, or who waits for that.
    child: Pid,
    /// It was reaped: its number may be another's.
    reaped: bool,
    /// Of the start, until that is heard.
    outcome: Option<Outcome>,
    failed: Option<Fault>,
    control: Option<Control>,
    /// The program runs (or has run).
    started: bool,
    exit: Option<Exit>,
    told_exit: bool,
    limit: Option<Limit>,
    kill_at: Option<Instant>,
    /// All of it is to be killed.
    killing: bool,
    max_rss: u64,
    cpu: Duration,
}

/// A child that has ended.
pub(crate) struct Reaped {
    pub(crate) pid: Pid,
    pub(crate) exit: Exit,
    max_rss: u64,
    cpu: Duration,
}

impl Tree {
    /// Starts a program; its descriptors are the first ones of `fds`. `runtime` is the way to whoever has asked for it.
    pub(crate) fn start(
        start: &Start,
        fds: &mut VecDeque<OwnedFd>,
        group: Option<&mut Group>,
        runtime: BorrowedFd<'_>,
    ) -> Result<Self, Fault> {
        let missing = || Fault { stage: Stage::Fork, errno: 0, detail: "a descriptor did not arrive".to_owned() };
        let stdout = fds.pop_front().ok_or_else(missing)?;
        let stderr = fds.pop_front().ok_or_else(missing)?;
        let stdin = if start.stdin { Some(fds.pop_front().ok_or_else(missing)?) } else { None };
        let is_plain = start.confinement.is_none() && start.overlays.is_empty();
        let plan = if is_plain { None } else { Some(Plan::new(start)?) };
        let mut limits = start.limits;
        if group.as_ref().is_some_and(|group| group.holds_cpu()) {
            // Held for the whole tree; each process need not be.
            limits.cpu_milli = None;
        }
        let nest = match group {
            Some(group) => {
                // The warden itself; and in namespaces the init, and who waits for it.
                let own = if plan.as_ref().is_some_and(Plan::has_init) { 3 } else { 1 };
                group.begin(&start.limits, own).map_err(|error| fault(Stage::Limits, &error))?;
                group.nest()
            }
            None => None,
        };
        let stdio = [stdin.as_ref().map(AsFd::as_fd), Some(stdout.as_fd()), Some(stderr.as_fd())];
        let (child, outcome, control) = fork::fork(start, &limits, plan, stdio, nest, runtime)?;
        Ok(Self {
            id: start.id,
            child,
            reaped: false,
            outcome: Some(outcome),
            failed: None,
            control,
            started: false,
            exit: None,
            told_exit: false,
            limit: None,
            kill_at: start.kill_after_ms.map(|after| Instant::now() + Duration::from_millis(after)),
            killing: false,
            max_rss: 0,
            cpu: Duration::ZERO,
        })
    }

    /// When [`Tree::look`] is due, whatever happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.kill_at
    }

    /// There is something to tell that no descriptor will speak of.
    pub(crate) fn is_to_be_heard(&self) -> bool {
        matches!(self.outcome, Some(Outcome::Known(_)))
    }

    /// The descriptors that may have something to say.
    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let pipe = match &self.outcome {
            Some(Outcome::Pipe(pipe)) => Some(pipe.as_fd()),
            _ => None,
        };
        pipe.into_iter().chain(self.control.as_ref().map(Control::fd))
    }

    /// Sees what has happened; true: it is over, and all is told.
    pub(crate) fn look(&mut self, died: bool, group: Option<&Group>, told: &mut Told) -> bool {
        self.hear_of_the_start(told);
        self.hear_the_init(told);
        self.see_the_limits(group, told);
        // Also without a signal: it may have been for a child of the tree before.
        let empty = (died || self.failed.is_some()) && self.reap_all();
        if self.killing && died && !empty {
            // One that was forked while the others were looked for has lost its parent since, and is a child of ours.
            self.kill(group);
        }
        if let Some(fault) = self.failed.take_if(|_| empty) {
            told.push((Report::NotStarted { id: self.id, fault }, None));
            return true;
        }
        if !self.started && !empty {
            return false;
        }
        let exit = self.exit.or_else(|| empty.then_some(Exit::Signal(libc::SIGKILL)));
        if let Some(exit) = exit
            && !empty
            && !self.told_exit
        {
            self.told_exit = true;
            told.push((Report::LeaderExited { id: self.id, exit }, None));
        }
        if let Some(exit) = exit.filter(|_| empty) {
            told.push((Report::Gone { id: self.id, end: self.end(exit, group) }, None));
        }
        empty
    }

    fn hear_of_the_start(&mut self, told: &mut Told) {
        let failed = match &mut self.outcome {
            None => return,
            Some(Outcome::Known(fault)) => fault.take(),
            Some(Outcome::Pipe(pipe)) => {
                let mut bytes = Vec::new();
                match pipe.read_to_end(&mut bytes) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock && bytes.is_empty() => return,
                    _ => {}
                }
                let unreadable = |_| fault(Stage::Exec, &io::Error::other("its fault can't be read"));
                (!bytes.is_empty()).then(|| postcard::from_bytes(&bytes).unwrap_or_else(unreadable))
            }
        };
        self.outcome = None;
        if failed.is_some() {
            self.failed = failed;
        } else if self.control.is_none() {
            self.started = true;
            let pid = self.child.as_raw_nonzero().get().unsigned_abs();
            told.push((Report::Started { id: self.id, pid, listener: false }, None));
        }
    }

    fn hear_the_init(&mut self, told: &mut Told) {
        let Some(control) = &mut self.control else { return };
        loop {
            match control.read() {
                Ok(Some(Inner::Started { pid, listener })) => {
                    self.started = true;
                    let report = Report::Started { id: self.id, pid, listener: listener.is_some() };
                    told.push((report, listener));
                }
                Ok(Some(Inner::NotStarted(fault))) => self.failed = Some(fault),
                Ok(Some(Inner::LeaderExited(exit))) => self.exit = Some(exit),
                Ok(None) => return,
                Err(error) => {
                    if !self.started && self.failed.is_none() {
                        let detail = "its init ended before the program was started".to_owned();
                        self.failed = Some(Fault { detail, ..fault(Stage::Confine, &error) });
                    }
                    self.control = None;
                    return;
                }
            }
        }
    }

    fn see_the_limits(&mut self, group: Option<&Group>, told: &mut Told) {
        if self.kill_at.is_some_and(|at| at <= Instant::now()) {
            self.kill_at = None;
            self.hit(Limit::Time, told);
            self.signal(Signal::Kill, group);
        }
        if let Some(limit) = group.and_then(Group::hit) {
            self.hit(limit, told);
        }
    }

    fn hit(&mut self, limit: Limit, told: &mut Told) {
        if self.limit.is_none() {
            self.limit = Some(limit);
            told.push((Report::LimitHit { id: self.id, limit }, None));
        }
    }

    /// Reaps whatever has ended; true: there is no child left.
    fn reap_all(&mut self) -> bool {
        loop {
            match reap() {
                Ok(Some(reaped)) => {
                    self.max_rss = self.max_rss.max(reaped.max_rss);
                    self.cpu += reaped.cpu;
                    self.reaped |= reaped.pid == self.child;
                    if reaped.pid == self.child && self.control.is_none() && self.exit.is_none() {
                        self.exit = Some(reaped.exit);
                    }
                }
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
    }

    fn end(&self, exit: Exit, group: Option<&Group>) -> End {
        End {
            exit,
            peak_memory: group.and_then(Group::peak_memory).or(Some(self.max_rss)),
            cpu_us: u64::try_from(self.cpu.as_micros()).unwrap_or(u64::MAX),
            limit: self.limit,
        }
    }

    /// Signals the tree.
    pub(crate) fn signal(&mut self, signal: Signal, group: Option<&Group>) {
        if let Some(control) = &self.control {
            control.signal(signal);
        }
        match signal {
            // The init does that.
            Signal::Interrupt | Signal::Terminate if self.control.is_some() => {}
            Signal::Interrupt => drop(kill_process_group(self.child, rustix::process::Signal::INT)),
            Signal::Terminate => descendants::signal(rustix::process::Signal::TERM),
            Signal::Kill => {
                self.killing = true;
                self.kill(group);
            }
        }
    }

    fn kill(&self, group: Option<&Group>) {
        if !group.is_some_and(Group::kill) {
            if !self.reaped {
                let _ = kill_process(self.child, rustix::process::Signal::KILL);
            }
            descendants::signal(rustix::process::Signal::KILL);
        }
    }
}

/// Reaps one child; none: those that are there live. An error: there is no child.
pub(crate) fn reap() -> io::Result<Option<Reaped>> {
    fork::wait()
}

pub(crate) fn fault(stage: Stage, error: &io::Error) -> Fault {
    let errno = error.raw_os_error().unwrap_or_default();
    Fault { stage, errno, detail: if errno == 0 { error.to_string() } else { String::new() } }
}

/// Tells the warden what went wrong, from the child.
pub(crate) fn confess(pipe: &mut File, fault: &Fault) {
    if let Ok(bytes) = postcard::to_extend(fault, Vec::new()) {
        let _ = pipe.write_all(&bytes);
    }
}
