//! The way to the broker and back: slow, lossy, and resolved as nexus-bus does when an answer was lost.

use nexus_core::event::Event;
use nexus_core::lane::Lane;
use nexus_core::task::QueueEntry;

use crate::ledger::{Body, Delivery, Millis, Outgoing, Task};
use crate::node::{Local, Then};
use crate::world::{Happening, Sim};

/// A request.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Append(Vec<Outgoing>),
    /// Are these what was stored last? After a refusal that may be the echo of one's own message.
    Settle(Vec<Outgoing>),
    LastEvent(Task),
    LastEntry(Task),
    /// Is anything of the task there?
    Known(Task),
    Pull(Lane, usize),
    Renew(String),
    /// Takes or renews this node's lease.
    TakeLease,
    Lease(usize),
    /// Nobody waits for the answer of these.
    Ack(String),
    Nak(String, Millis),
}

#[derive(Clone, Debug)]
pub(crate) enum Told {
    Stored(u64),
    Conflict,
    Event(Option<(Event, u64)>),
    Entry(Option<(QueueEntry, u64)>),
    Known(bool),
    Pulled(Vec<Delivery>),
    Lease(u64),
    Done,
    Unreachable,
}

/// A request on its way, and what its caller does with the answer.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) node: usize,
    pub(crate) run: u64,
    pub(crate) ask: Ask,
    pub(crate) then: Then,
    pub(crate) asked: Millis,
    tries: u32,
    unknown: bool,
}

/// The longest wait for an answer.
const TIMEOUT: Millis = 2_000;
/// The number of times that a message whose answers are lost is published, the first included.
const TRIES: u32 = 3;

impl Sim {
    pub(crate) fn ask(&mut self, node: usize, ask: Ask, then: Then) {
        let (run, asked) = (self.nodes[node].run, self.now);
        self.send(Box::new(Call { node, run, ask, then, asked, tries: 1, unknown: false }));
    }

    fn send(&mut self, call: Box<Call>) {
        let delay = self.delay();
        match if self.stormy { self.rng.u8(..100) } else { 100 } {
            0..3 => self.unanswered(call),
            // Kept by a client that was cut off, say: it arrives when nobody counts on it any more.
            3..6 => {
                let late = TIMEOUT + self.rng.u64(0..15_000);
                self.after(late, Happening::Arrive { call: call.clone(), late: true });
                self.unanswered(call);
            }
            _ => self.after(delay, Happening::Arrive { call, late: false }),
        }
    }

    fn unanswered(&mut self, call: Box<Call>) {
        self.after(TIMEOUT, Happening::Answer { call, told: Box::new(Told::Unreachable) });
    }

    fn delay(&mut self) -> Millis {
        if self.rng.u8(..50) == 0 { self.rng.u64(1..TIMEOUT / 2) } else { self.rng.u64(0..4) }
    }

    pub(crate) fn arrive(&mut self, call: Box<Call>, late: bool) {
        if !self.broker_up || self.nodes[call.node].cut {
            if !late {
                self.unanswered(call);
            }
            return;
        }
        let told = self.carry_out(&call);
        if late {
            return;
        }
        let lost = self.stormy && self.rng.u8(..100) < 3;
        if lost {
            self.unanswered(call);
        } else {
            let delay = self.delay();
            self.after(delay, Happening::Answer { call, told: Box::new(told) });
        }
    }

    fn carry_out(&mut self, call: &Call) -> Told {
        match &call.ask {
            Ask::Append(batch) => match self.ledger.append(batch) {
                Ok(seq) => {
                    self.stored(call.node, batch);
                    Told::Stored(seq + 1 - batch.len() as u64)
                }
                Err(_) => Told::Conflict,
            },
            Ask::Settle(batch) => match self.ledger.settled(batch) {
                Some(seq) => Told::Stored(seq + 1 - batch.len() as u64),
                None => Told::Conflict,
            },
            Ask::LastEvent(task) => Told::Event(self.ledger.last_event(*task)),
            Ask::LastEntry(task) => Told::Entry(self.ledger.last_entry(*task)),
            Ask::Known(task) => Told::Known(self.ledger.is_known(*task)),
            Ask::Pull(lane, limit) => Told::Pulled(self.ledger.pull(*lane, *limit, self.now)),
            Ask::Renew(token) => {
                self.ledger.renew(token, self.now);
                Told::Done
            }
            Ask::TakeLease => {
                self.leases[call.node] += 1;
                Told::Done
            }
            Ask::Lease(node) => Told::Lease(self.leases[*node]),
            Ask::Ack(token) => {
                self.ledger.ack(token);
                Told::Done
            }
            Ask::Nak(token, delay) => {
                self.ledger.nak(token, self.now + delay);
                Told::Done
            }
        }
    }

    /// Checks each event that was stored, and tells the departments of each entry.
    fn stored(&mut self, by: usize, batch: &[Outgoing]) {
        for message in batch {
            match &message.body {
                Body::Event(event) => self.check_event(message.task, by, event),
                Body::Entry(_) => {
                    for node in 0..self.nodes.len() {
                        let (run, delay) = (self.nodes[node].run, self.delay());
                        if !self.nodes[node].cut && self.rng.u8(..10) > 0 {
                            self.after(delay, Happening::Local { node, run, what: Local::Wake(message.lane) });
                        }
                    }
                }
                Body::Scheduled(..) => {}
            }
        }
    }

    /// An answer has come back: published again while it isn't known what became of it, and settled when that is refused.
    pub(crate) fn answered(&mut self, mut call: Call, told: Told) {
        if let Ask::Append(batch) = &call.ask {
            match told {
                Told::Unreachable if call.tries < TRIES => {
                    (call.unknown, call.tries) = (true, call.tries + 1);
                    return self.send(Box::new(call));
                }
                Told::Conflict if call.unknown => {
                    call.ask = Ask::Settle(batch.clone());
                    return self.send(Box::new(call));
                }
                _ => {}
            }
        }
        self.then(call.node, call.asked, call.then, told);
    }
}
