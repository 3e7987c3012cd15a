//! A department's intake on a node: pulls for idle workers, and makes an attempt of what may start.

use nexus_core::event::{Event, What};
use nexus_core::id::{AgentName, NodeId, WorkerName};
use nexus_core::lane::Lane;
use nexus_core::revival::unqueued;
use nexus_core::task::QueueEntry;
use nexus_core::turn::{Arrival, Turn, Wait, expected, turn};

use crate::ledger::{Body, Delivery, Millis, Outgoing, Pattern, Task, token_seq};
use crate::node::{Admission, Behind, Local, Place, Revive, Then, Whose, Why};
use crate::rules::TASK_LEASE;
use crate::wire::{Ask, Told};
use crate::worker::Hand;
use crate::world::Sim;

const LOOKS: u32 = 10;
const A_MOMENT: Millis = 20;
const AGAIN: Millis = 1_000;

pub(crate) fn node_id(node: usize) -> NodeId {
    NodeId::new(format!("node-{node}")).unwrap()
}

pub(crate) fn node_of(id: &NodeId) -> usize {
    id.as_str().trim_start_matches("node-").parse().unwrap()
}

impl Sim {
    pub(crate) fn pull(&mut self, node: usize) {
        let held = self.is_held(node) || !self.rules.terms;
        let it = &mut self.nodes[node];
        let idle = it.slots.iter().filter(|place| matches!(place, Place::Idle)).count();
        if !it.open || it.pulling || idle == 0 || !held {
            return;
        }
        let Some(lane) = it.shares.pick() else { return };
        it.pulling = true;
        it.woken = [false; Lane::COUNT];
        self.ask(node, Ask::Pull(lane, idle), Then::Pulled { lane, asked: idle });
    }

    pub(crate) fn pulled(&mut self, node: usize, lane: Lane, asked: usize, told: Told) {
        let Told::Pulled(brought) = told else { return self.soon(node, 500, Local::PullAgain) };
        let it = &mut self.nodes[node];
        it.pulling = false;
        if brought.is_empty() {
            it.shares.returned(lane);
        }
        if brought.len() < asked && !it.woken[lane.index()] {
            it.shares.drained(lane);
        }
        for delivery in brought {
            let places = &mut self.nodes[node].slots;
            match places.iter().position(|place| matches!(place, Place::Idle)) {
                Some(slot) => {
                    places[slot] = Place::Promised;
                    let term = self.nodes[node].term;
                    self.admit(node, Admission { slot, delivery, looks: 0, term });
                }
                None => self.give_back(node, &delivery, 0),
            }
        }
        self.pull(node);
    }

    fn admit(&mut self, node: usize, admission: Admission) {
        let arrival = self.arrival(&admission.delivery);
        match expected(&admission.delivery.entry, arrival) {
            Some(expect) => self.start(node, admission, expect),
            None => self.look(node, admission),
        }
    }

    pub(crate) fn look(&mut self, node: usize, admission: Admission) {
        let task = admission.delivery.task;
        if admission.looks >= LOOKS {
            return self.later(node, admission, AGAIN);
        }
        let held = self.rules.board && self.holds(node, task);
        self.ask(node, Ask::LastEvent(task), Then::Looked { admission, held });
    }

    pub(crate) fn looked(&mut self, node: usize, mut admission: Admission, held: bool, told: Told) {
        let Told::Event(last) = told else { return self.away(node, admission) };
        let delivery = &admission.delivery;
        let open = last.as_ref().map(|(event, _)| &event.what);
        let again = open.and_then(What::delivery).is_some_and(|d| token_seq(d) == Some(delivery.seq));
        let ours = open.and_then(What::node) == Some(&node_id(node));
        let stood = last.as_ref().map(|(_, seq)| *seq);
        let deferred = self.nodes[node].deferred.get(&delivery.seq);
        let waited = deferred.is_some_and(|(at, since)| Some(*at) == stood && self.now >= since + TASK_LEASE);
        let arrival = Arrival { again, ours, held, waited, ..self.arrival(delivery) };
        let turn = turn(&delivery.entry, arrival, last.as_ref().map(|(event, seq)| (event, *seq)));
        let (task, seq) = (delivery.task, delivery.seq);
        self.say(|| format!("node {node}: task {task} by entry {seq}: {turn:?}, {arrival:?}"));
        match turn {
            Turn::Start { expect } => self.start(node, admission, expect),
            Turn::Drop => self.dropped(node, &admission),
            Turn::Later(Wait::Holder) => {
                admission.looks += 1;
                self.soon(node, A_MOMENT, Local::Admit(Box::new(admission)));
            }
            Turn::Later(Wait::Lease) => {
                self.nodes[node].deferred.insert(seq, (stood.unwrap_or_default(), self.now));
                self.later(node, admission, TASK_LEASE);
            }
            Turn::Revive => {
                let Some((event, seq)) = last else { return };
                let revive = Revive { task, why: Why::Delivered { admission: Box::new(admission) } };
                self.ask(node, Ask::LastEntry(task), Then::Entry(revive, event, seq));
            }
            Turn::QueueNext if !self.rules.queue_next => self.dropped(node, &admission),
            Turn::QueueNext => {
                let Some((event, seq)) = last else { return };
                let entry = admission.delivery.entry.clone();
                self.queue_next(node, &event, seq, (task, &entry), Whose::Admission(Box::new(admission)));
            }
        }
    }

    /// Queues what follows an attempt that failed and goes on at once, unless it is queued already.
    pub(crate) fn queue_next(
        &mut self,
        node: usize,
        event: &Event,
        after: u64,
        (task, entry): (Task, &QueueEntry),
        whose: Whose,
    ) {
        let Some(next) = unqueued(event, after, entry, self.timestamp()) else { return self.is_queued(node, whose) };
        self.count("looked for by another");
        self.queue_behind(node, Behind { next, task, after, over: 0, whose });
    }

    /// Unless one for that attempt is there that is newer than the event.
    pub(crate) fn queue_behind(&mut self, node: usize, behind: Behind) {
        let (id, task) = (self.id(), behind.task);
        let lane = self.jobs[task].work.priority.into();
        let (body, expect) = (Body::Entry(behind.next.clone()), Some((Pattern::AnyQueue, behind.over)));
        let batch = vec![Outgoing { task, body, lane, expect, id }];
        self.ask(node, Ask::Append(batch), Then::Queued(Box::new(behind)));
    }

    pub(crate) fn queued(&mut self, node: usize, behind: Behind, told: &Told) {
        match told {
            Told::Stored(_) => self.is_queued(node, behind.whose),
            Told::Conflict => self.ask(node, Ask::LastEntry(behind.task), Then::Newest(Box::new(behind))),
            _ => self.is_not_queued(node, behind.whose),
        }
    }

    pub(crate) fn newest(&mut self, node: usize, behind: Behind, told: Told) {
        match told {
            Told::Entry(Some((newest, at))) if at > behind.after && newest.attempt == behind.next.attempt => {
                self.is_queued(node, behind.whose);
            }
            Told::Entry(newest) => {
                let over = newest.map_or(0, |(_, at)| at);
                self.queue_behind(node, Behind { over, ..behind });
            }
            _ => self.is_not_queued(node, behind.whose),
        }
    }

    fn is_queued(&mut self, node: usize, whose: Whose) {
        match whose {
            Whose::Hand(id) => self.concluded(node, id, &Told::Stored(0)),
            Whose::Admission(admission) => self.dropped(node, &admission),
            Whose::Nobody => {}
        }
    }

    fn is_not_queued(&mut self, node: usize, whose: Whose) {
        match whose {
            Whose::Hand(id) => self.conclude_later(node, id),
            Whose::Admission(admission) => self.away(node, *admission),
            Whose::Nobody => {}
        }
    }

    fn start(&mut self, node: usize, mut admission: Admission, expect: u64) {
        let task = admission.delivery.task;
        if !self.is_held(node) && self.rules.terms {
            return self.later(node, admission, AGAIN);
        }
        if self.rules.board && !self.nodes[node].taking.insert(task) {
            admission.looks += 1;
            return self.soon(node, A_MOMENT, Local::Admit(Box::new(admission)));
        }
        admission.term = self.nodes[node].term;
        let Delivery { entry, token, .. } = &admission.delivery;
        let what = What::Started {
            node: node_id(node),
            worker: WorkerName::new(format!("worker-{}", admission.slot)).unwrap(),
            agent: AgentName::new("shell").unwrap(),
            delivery: token.clone(),
        };
        let event = self.event(task, entry.attempt, what);
        let expect = self.rules.fenced_start.then_some(expect);
        let batch = vec![self.message(task, event, expect)];
        self.ask(node, Ask::Append(batch), Then::Started { admission });
    }

    pub(crate) fn started(&mut self, node: usize, mut admission: Admission, told: &Told) {
        let task = admission.delivery.task;
        match told {
            Told::Stored(seq) => {
                let hand = Hand::new(self, node, &admission, *seq);
                let id = hand.id;
                self.nodes[node].slots[admission.slot] = Place::Busy(Box::new(hand));
                self.nodes[node].taking.remove(&task);
                self.begin(node, id);
            }
            Told::Conflict => {
                self.nodes[node].taking.remove(&task);
                admission.looks += 1;
                self.look(node, admission);
            }
            // Perhaps it was: then the next look finds an attempt of this node's that nobody has in hand.
            _ => {
                self.nodes[node].taking.remove(&task);
                self.away(node, admission);
            }
        }
    }

    /// The broker doesn't answer. Nothing is said to it that might reach it when another node has the task.
    pub(crate) fn away(&mut self, node: usize, mut admission: Admission) {
        admission.looks += 1;
        if admission.looks < LOOKS {
            self.soon(node, AGAIN, Local::Admit(Box::new(admission)));
        } else {
            self.idle(node, admission.slot);
        }
    }

    /// True while something of the task may be alive on this node, or about to be.
    pub(crate) fn holds(&self, node: usize, task: Task) -> bool {
        let it = &self.nodes[node];
        let busy = it.slots.iter().any(|place| matches!(place, Place::Busy(hand) if hand.claim.task == task));
        busy || it.taking.contains(&task) || it.left.iter().any(|hand| hand.claim.task == task)
    }

    /// Nothing more is to be done about it.
    pub(crate) fn dropped(&mut self, node: usize, admission: &Admission) {
        self.ask(node, Ask::Ack(admission.delivery.token.clone()), Then::Nothing);
        self.idle(node, admission.slot);
    }

    pub(crate) fn later(&mut self, node: usize, admission: Admission, delay: Millis) {
        self.give_back(node, &admission.delivery, delay);
        self.idle(node, admission.slot);
    }

    pub(crate) fn idle(&mut self, node: usize, slot: usize) {
        self.nodes[node].slots[slot] = Place::Idle;
        self.pull(node);
    }

    pub(crate) fn message(&mut self, task: Task, event: Event, expect: Option<u64>) -> Outgoing {
        let (id, lane) = (self.id(), self.jobs[task].work.priority.into());
        let expect = expect.map(|expect| (Pattern::Events, expect));
        Outgoing { task, body: Body::Event(event), lane, expect, id }
    }

    fn give_back(&mut self, node: usize, delivery: &Delivery, delay: Millis) {
        self.ask(node, Ask::Nak(delivery.token.clone(), delay), Then::Nothing);
    }

    fn arrival(&self, delivery: &Delivery) -> Arrival {
        let Delivery { seq, redelivered, .. } = *delivery;
        Arrival { seq, redelivered, again: false, ours: false, held: false, waited: false }
    }
}
