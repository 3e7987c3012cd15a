//! The faults that are made on purpose, and how each is healed.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use fastrand::Rng;
use nexus_bus::Order;
use nexus_core::id::TaskId;
use rustix::process::Signal;
use serde::Serialize;
use tokio::time::sleep;

use crate::cli::Mode;
use crate::company::{Company, LEASE, Node};
use crate::mark::{self, Mark, Moment};
use crate::processes;
use crate::proxy::Way;
use crate::site::Site;
use crate::story::{Incident, Story};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    /// SIGKILL of nexus, which is started again at once.
    KillNexus,
    /// The same, and once more within its start.
    KillTwice,
    /// SIGTERM, and a start.
    Deploy,
    /// SIGSTOP of nexus for longer than its lease.
    StopNexus,
    /// SIGSTOP of nexus for a moment.
    PauseNexus,
    /// SIGKILL of nexus, which stays dead for longer than its lease.
    NodeDead,
    /// SIGKILL of nats-server.
    KillBroker,
    /// SIGSTOP of nats-server.
    PauseBroker,
    /// SIGKILL of an agent.
    KillAgent,
    /// A worker actor panics.
    PanicWorker,
    /// The way to the broker is cut.
    CutWay,
    /// The way to the broker hangs: nothing passes.
    HangWay,
    /// No room on the disk of the data directory.
    FullDisk,
}

impl Fault {
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Those that fit a mode, the frequent ones more than once.
    pub(crate) fn deck(mode: Mode) -> Vec<Self> {
        let both = [
            Self::KillNexus,
            Self::KillNexus,
            Self::KillTwice,
            Self::Deploy,
            Self::StopNexus,
            Self::PauseNexus,
            Self::KillBroker,
            Self::PauseBroker,
            Self::KillAgent,
            Self::KillAgent,
            Self::PanicWorker,
            Self::PanicWorker,
        ];
        let more: &[Self] = match mode {
            Mode::Solo => &[Self::FullDisk],
            Mode::Pair => &[Self::NodeDead, Self::NodeDead, Self::CutWay, Self::HangWay, Self::StopNexus],
        };
        both.into_iter().chain(more.iter().copied()).collect()
    }
}

/// Breaks things in one run.
#[derive(Debug)]
pub(crate) struct Saboteur<'a> {
    pub(crate) company: &'a Company,
    pub(crate) site: &'a Site,
    pub(crate) story: &'a Story,
    /// Tasks whose agent was killed: that counts as its failure.
    pub(crate) killed: Mutex<BTreeSet<TaskId>>,
}

impl Saboteur<'_> {
    /// Breaks something and heals it. False: there was nothing to break.
    pub(crate) async fn inject(&self, fault: Fault, mut rng: Rng) -> bool {
        let nodes = &self.company.nodes;
        let node = &nodes[rng.usize(..nodes.len())];
        let (mut at, mut ready) = (None, None);
        let mut begin = Moment::now();
        let mut began = |what: String| {
            begin = Moment::now();
            self.story.tell(format!("FAULT {} {what}", fault.name()));
        };
        match fault {
            Fault::KillNexus | Fault::KillTwice | Fault::NodeDead | Fault::Deploy => {
                let mut child = node.child.lock().await;
                began(node.name.to_owned());
                if fault == Fault::Deploy {
                    node.stop(&mut child, self.story).await;
                } else {
                    node.kill(&mut child).await;
                }
                if fault == Fault::KillTwice && node.spawn(&mut child).is_ok() {
                    sleep(Duration::from_millis(rng.u64(5..600))).await;
                    node.kill(&mut child).await;
                }
                if fault == Fault::NodeDead {
                    sleep(LEASE + Duration::from_millis(rng.u64(1500..4000))).await;
                }
                ready = node.start(&mut child, self.story).await.ok();
                at = node.id();
            }
            Fault::StopNexus | Fault::PauseNexus => {
                let child = node.child.lock().await;
                let Some(pid) = Node::pid(&child) else { return false };
                let leases = if fault == Fault::StopNexus { rng.f64().mul_add(3.0, 1.2) } else { rng.f64() * 0.4 };
                let pause = LEASE.mul_f64(leases);
                began(format!("{} (pid {pid}) for {pause:?}", node.name));
                processes::signal(pid, Signal::STOP);
                sleep(pause).await;
                processes::signal(pid, Signal::CONT);
                at = node.id();
            }
            Fault::KillBroker | Fault::PauseBroker => {
                // In solo the broker comes and goes with its node.
                let _up = if nodes.len() == 1 { Some(node.child.lock().await) } else { None };
                let Some(pid) = self.company.broker_pid().await else { return false };
                began(format!("pid {pid}"));
                if fault == Fault::KillBroker {
                    processes::signal(pid, Signal::KILL);
                } else {
                    processes::signal(pid, Signal::STOP);
                    sleep(Duration::from_millis(rng.u64(200..4000))).await;
                    processes::signal(pid, Signal::CONT);
                }
            }
            Fault::KillAgent => {
                let Some(victim) = self.running(&mut rng) else { return false };
                self.killed.lock().unwrap_or_else(PoisonError::into_inner).insert(victim.task);
                began(format!("{} (pid {})", victim.task, victim.pid));
                processes::signal(victim.pid, Signal::KILL);
                at = Some(victim.node);
            }
            Fault::PanicWorker => {
                let Some(victim) = self.running(&mut rng) else { return false };
                began(format!("of {}", victim.task));
                let order = Order::Panic { task: victim.task };
                if self.company.bus.order(&victim.node, &victim.department, &order).await.is_err() {
                    return false;
                }
                at = Some(victim.node);
            }
            Fault::CutWay | Fault::HangWay => {
                let Some((proxy, _)) = &node.way else { return false };
                let pause = Duration::from_millis(rng.u64(200..7000));
                began(format!("{} for {pause:?}", node.name));
                proxy.set(if fault == Fault::CutWay { Way::Cut } else { Way::Hung });
                sleep(pause).await;
                proxy.set(Way::Open);
                at = node.id();
            }
            Fault::FullDisk => {
                let Some(disk) = &self.company.disk else { return false };
                let _up = node.child.lock().await;
                let pause = Duration::from_millis(rng.u64(1000..5000));
                began(format!("for {pause:?}"));
                let full_until = tokio::time::Instant::now() + pause;
                while tokio::time::Instant::now() < full_until {
                    disk.fill();
                    sleep(Duration::from_millis(100)).await;
                }
                disk.free();
                at = node.id();
            }
        }
        self.story.tell(format!("HEALED {}", fault.name()));
        self.story.incident(Incident { fault, node: at, begin, ready, end: Moment::now() });
        true
    }

    /// A task that runs now, with the process that works on it.
    fn running(&self, rng: &mut Rng) -> Option<Mark> {
        let marks = mark::read(&self.site.marks()).ok()?;
        let alive = |mark: &&Mark| processes::began(mark.pid) == Some(mark.began);
        let running: Vec<_> = mark::unended(&marks).filter(alive).collect();
        running.get(rng.usize(..running.len().max(1))).map(|mark| (*mark).clone())
    }
}
