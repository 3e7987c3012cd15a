//! A model of the ledger: messages by subject, compare-and-set, atomic batches, schedules, and consumers that deliver again.

use std::collections::BTreeMap;

use nexus_core::event::Event;
use nexus_core::lane::Lane;
use nexus_core::task::QueueEntry;

/// A task, by its place in the simulation.
pub(crate) type Task = usize;

/// Milliseconds since the simulation began.
pub(crate) type Millis = u64;

/// The subject of a message. All tasks are one department's: queues of several don't touch each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Queue(Order, Task),
    Event(Task),
    Schedule(Task),
}

/// A lane's place among all, by which it is compared.
pub(crate) type Order = usize;

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Entry(QueueEntry),
    Event(Event),
    /// An entry that is due at a time, in the lane of its priority.
    Scheduled(QueueEntry, Millis),
}

/// A message that is to be stored.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) task: Task,
    pub(crate) body: Body,
    pub(crate) lane: Lane,
    /// Refused unless the last message that this matches has that sequence.
    pub(crate) expect: Option<(Pattern, u64)>,
    /// By which it is known again.
    pub(crate) id: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Pattern {
    AnyQueue,
    Events,
}

#[derive(Clone, Debug)]
struct Message {
    subject: Subject,
    body: Body,
    id: u64,
}

/// One entry as a consumer sees it.
#[derive(Clone, Copy, Debug)]
struct Held {
    delivered: u32,
    /// Delivered again from then on.
    due: Millis,
    /// The last renewal before this one, which a broker that is killed falls back to.
    before: Millis,
    acked: bool,
}

/// The result of a pull.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) entry: QueueEntry,
    pub(crate) task: Task,
    pub(crate) seq: u64,
    pub(crate) redelivered: bool,
    /// Unlike that of any other delivery.
    pub(crate) token: String,
}

#[derive(Debug)]
pub(crate) struct Conflict;

/// The stream and its consumers.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    messages: BTreeMap<u64, Message>,
    last: u64,
    held: BTreeMap<u64, Held>,
    /// The time for which a delivery is its taker's.
    ack_wait: Millis,
}

impl Ledger {
    pub(crate) fn new(ack_wait: Millis) -> Self {
        Self { ack_wait, ..Self::default() }
    }

    /// Stores all or nothing; returns the sequence of the last.
    pub(crate) fn append(&mut self, batch: &[Outgoing]) -> Result<u64, Conflict> {
        for message in batch {
            if let Some((pattern, expect)) = message.expect
                && self.last_of(pattern, message.task) != expect
            {
                return Err(Conflict);
            }
        }
        for Outgoing { task, body, lane, id, .. } in batch {
            self.last += 1;
            let subject = match body {
                Body::Entry(_) => Subject::Queue(lane.index(), *task),
                Body::Event(_) => Subject::Event(*task),
                Body::Scheduled(..) => {
                    // One schedule a subject: the newest.
                    self.messages.retain(|_, message| message.subject != Subject::Schedule(*task));
                    Subject::Schedule(*task)
                }
            };
            self.messages.insert(self.last, Message { subject, body: body.clone(), id: *id });
            if matches!(body, Body::Entry(_)) {
                self.held.insert(self.last, Held { delivered: 0, due: 0, before: 0, acked: false });
            }
        }
        Ok(self.last)
    }

    /// True when these very messages are what was stored last on their subjects: how a lost answer is resolved.
    pub(crate) fn settled(&self, batch: &[Outgoing]) -> Option<u64> {
        let mut seq = 0;
        for message in batch {
            let same = |subject: &Subject| match message.body {
                Body::Entry(_) => *subject == Subject::Queue(message.lane.index(), message.task),
                Body::Event(_) => *subject == Subject::Event(message.task),
                Body::Scheduled(..) => *subject == Subject::Schedule(message.task),
            };
            let (at, stored) = self.messages.iter().rev().find(|(_, stored)| same(&stored.subject))?;
            if stored.id != message.id {
                return None;
            }
            seq = *at;
        }
        Some(seq)
    }

    pub(crate) fn last_event(&self, task: Task) -> Option<(Event, u64)> {
        self.messages.iter().rev().find_map(|(seq, message)| match &message.body {
            Body::Event(event) if message.subject == Subject::Event(task) => Some((event.clone(), *seq)),
            _ => None,
        })
    }

    pub(crate) fn last_entry(&self, task: Task) -> Option<(QueueEntry, u64)> {
        self.messages.iter().rev().find_map(|(seq, message)| match (&message.body, message.subject) {
            (Body::Entry(entry), Subject::Queue(_, about)) if about == task => Some((entry.clone(), *seq)),
            _ => None,
        })
    }

    /// True when it was submitted before, and waits, is due later or has gone on.
    pub(crate) fn is_known(&self, task: Task) -> bool {
        self.messages.values().any(|message| match message.subject {
            Subject::Queue(_, about) | Subject::Schedule(about) => about == task,
            Subject::Event(_) => false,
        })
    }

    /// Publishes what has come due to the queue.
    pub(crate) fn fire(&mut self, now: Millis) {
        let due = |message: &Message| matches!(message.body, Body::Scheduled(_, at) if at <= now);
        let fired: Vec<_> = self.messages.iter().filter(|(_, m)| due(m)).map(|(seq, m)| (*seq, m.clone())).collect();
        for (seq, message) in fired {
            self.messages.remove(&seq);
            let (Body::Scheduled(entry, _), Subject::Schedule(task)) = (message.body, message.subject) else {
                continue;
            };
            self.last += 1;
            let lane = Lane::from(entry.task.priority);
            let subject = Subject::Queue(lane.index(), task);
            self.messages.insert(self.last, Message { subject, body: Body::Entry(entry), id: message.id });
            self.held.insert(self.last, Held { delivered: 0, due: 0, before: 0, acked: false });
        }
    }

    /// Up to `limit` entries of a lane: what is to be delivered again first.
    pub(crate) fn pull(&mut self, lane: Lane, limit: usize, now: Millis) -> Vec<Delivery> {
        let mut taken = Vec::new();
        for again in [true, false] {
            for (seq, held) in &mut self.held {
                let Some(message) = self.messages.get(seq) else { continue };
                let (Body::Entry(entry), Subject::Queue(at, task)) = (&message.body, message.subject) else { continue };
                let free = !held.acked && held.due <= now && (held.delivered > 0) == again;
                if at == lane.index() && free && taken.len() < limit {
                    held.delivered += 1;
                    (held.before, held.due) = (now + self.ack_wait, now + self.ack_wait);
                    let token = format!("{seq}.{}.{now}", held.delivered);
                    let redelivered = held.delivered > 1;
                    taken.push(Delivery { entry: entry.clone(), task, seq: *seq, redelivered, token });
                }
            }
        }
        taken
    }

    /// Accepted from anybody who knows the entry, whoever has it now: an acknowledgement fences nothing.
    pub(crate) fn ack(&mut self, token: &str) {
        if let Some(held) = self.by_token(token) {
            held.acked = true;
        }
    }

    pub(crate) fn nak(&mut self, token: &str, until: Millis) {
        if let Some(held) = self.by_token(token) {
            (held.before, held.due) = (until, until);
        }
    }

    pub(crate) fn renew(&mut self, token: &str, now: Millis) {
        let until = now + self.ack_wait;
        if let Some(held) = self.by_token(token) {
            (held.before, held.due) = (held.due, until);
        }
    }

    /// The broker was killed: the stream is whole, and of its consumers it knows what it wrote down last.
    pub(crate) fn killed(&mut self, rng: &mut fastrand::Rng) {
        for held in self.held.values_mut().filter(|held| held.delivered > 0) {
            match rng.u8(..8) {
                0 => *held = Held { delivered: 0, due: 0, before: 0, acked: false },
                1 => held.due = held.due.min(held.before),
                2 => held.acked = false,
                _ => {}
            }
        }
    }

    fn by_token(&mut self, token: &str) -> Option<&mut Held> {
        self.held.get_mut(&token_seq(token)?)
    }

    fn last_of(&self, pattern: Pattern, task: Task) -> u64 {
        let matches = |subject: Subject| match (pattern, subject) {
            (Pattern::AnyQueue, Subject::Queue(_, about)) | (Pattern::Events, Subject::Event(about)) => about == task,
            _ => false,
        };
        self.messages.iter().rev().find(|(_, message)| matches(message.subject)).map_or(0, |(seq, _)| *seq)
    }
}

/// The sequence of the entry that a delivery brought.
pub(crate) fn token_seq(token: &str) -> Option<u64> {
    token.split('.').next()?.parse().ok()
}
