//! The faults, and when they happen; and the calm after them.

use crate::agents::TreeEvent;
use crate::ledger::Millis;
use crate::node::Local;
use crate::world::{Happening, Sim};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// A node is killed, and started again after a while.
    Crash {
        node: usize,
        away: Millis,
    },
    Start {
        node: usize,
    },
    /// A node stands still.
    Pause {
        node: usize,
        still: Millis,
    },
    GoOn {
        node: usize,
        run: u64,
    },
    /// A node and the broker don't hear each other.
    Cut {
        node: usize,
        apart: Millis,
    },
    Join {
        node: usize,
    },
    /// The broker is killed.
    Outage {
        away: Millis,
    },
    BrokerBack,
    WorkerFails {
        node: usize,
    },
    /// Somebody kills an agent.
    Slay,
    /// All is well from now on.
    Calm,
}

impl Sim {
    pub(crate) fn plan_faults(&mut self) {
        let end = self.rng.u64(40_000..160_000);
        for _ in 0..self.rng.u32(1..12) {
            let node = self.rng.usize(..self.nodes.len());
            // Around the length of a lease, where it matters most.
            let mut length = || if self.rng.bool() { self.rng.u64(100..6_000) } else { self.rng.u64(6_000..25_000) };
            let long = length();
            let fault = match self.rng.u8(..10) {
                0..2 => Fault::Crash { node, away: long },
                2..5 => Fault::Pause { node, still: long },
                5..7 => Fault::Cut { node, apart: long },
                7 => Fault::Outage { away: long },
                8 => Fault::WorkerFails { node },
                _ => Fault::Slay,
            };
            let at = self.rng.u64(1_000..end);
            self.after(at, Happening::Fault(fault));
        }
        self.after(end, Happening::Fault(Fault::Calm));
        self.after(500, Happening::Schedules);
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        self.say(|| format!("FAULT {fault:?}"));
        self.count("faults");
        match fault {
            Fault::Crash { node, away } if self.nodes[node].up => {
                self.crash_node(node);
                self.after(away, Happening::Fault(Fault::Start { node }));
            }
            Fault::Start { node } if !self.nodes[node].up => self.start_node(node),
            Fault::Pause { node, still } if self.nodes[node].up && !self.nodes[node].paused => {
                self.nodes[node].paused = true;
                let run = self.nodes[node].run;
                self.after(still, Happening::Fault(Fault::GoOn { node, run }));
            }
            Fault::GoOn { node, run } if self.nodes[node].paused && self.nodes[node].run == run => self.go_on(node),
            Fault::Cut { node, apart } => {
                self.nodes[node].cut = true;
                self.after(apart, Happening::Fault(Fault::Join { node }));
            }
            Fault::Join { node } => self.nodes[node].cut = false,
            Fault::Outage { away } => {
                self.broker_up = false;
                self.ledger.killed(&mut self.rng);
                self.after(away, Happening::Fault(Fault::BrokerBack));
            }
            Fault::BrokerBack => self.broker_up = true,
            Fault::WorkerFails { node } => self.soon(node, 0, Local::WorkerFails),
            Fault::Slay => {
                let alive: Vec<_> = (0..self.trees.len()).filter(|tree| self.trees[*tree].alive).collect();
                if let Some(tree) = self.rng.choice(alive) {
                    self.after(0, Happening::Tree { tree, event: TreeEvent::Slain });
                }
            }
            Fault::Calm => self.calm(),
            _ => {}
        }
    }

    fn calm(&mut self) {
        self.stormy = false;
        self.broker_up = true;
        for node in 0..self.nodes.len() {
            self.nodes[node].cut = false;
            if self.nodes[node].paused {
                self.go_on(node);
            }
            if !self.nodes[node].up {
                self.start_node(node);
            }
        }
    }
}
