//! Workers: one attempt each, driven by nexus-core's machine; its lease renewed, its end written down.

use std::time::Duration;

use nexus_core::attempt::{Action, Attempt, Conclusion, Input, Policy, Signal};
use nexus_core::budget::{Budget, Spent};
use nexus_core::event::{Failure, FailureKind, Outcome, What};
use nexus_core::fence::{Fence, fence};
use nexus_core::lane::Lane;
use nexus_core::retry::{Next, Retry, next};
use nexus_core::revival::{again, later, once_more};
use nexus_core::task::QueueEntry;

use crate::ledger::{Body, Millis, Outgoing, Task, token_seq};
use crate::node::{Admission, Behind, Local, Place, Then, Whose};
use crate::rules::{TASK_HELD, TASK_PERIOD};
use crate::wire::{Ask, Told};
use crate::world::Sim;

/// The right to write what happens to a task.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) task: Task,
    pub(crate) entry: QueueEntry,
    pub(crate) token: String,
    pub(crate) last: u64,
}

/// The task in a worker's hands.
#[derive(Debug)]
pub(crate) struct Hand {
    pub(crate) id: u64,
    pub(crate) claim: Claim,
    attempt: Attempt,
    began: Millis,
    term: u64,
    tree: Option<usize>,
    /// Until when the task is this worker's.
    held_until: Millis,
    conclusion: Option<Conclusion>,
    /// The event that says that it failed and goes on at once.
    failed: Option<u64>,
    abandoned: bool,
    /// Its worker has failed.
    orphan: bool,
    pause: Millis,
}

const POLICY: Policy = Policy {
    wall_time: Some(Duration::from_secs(60)),
    idle_time: None,
    first_event: Duration::from_secs(180),
    output: None,
    budget: Budget { tokens: None, turns: None, cost: None, wall_time: None },
    interrupt_grace: Duration::from_secs(2),
    terminate_grace: Duration::from_secs(2),
};

impl Hand {
    pub(crate) fn new(sim: &mut Sim, _: usize, admission: &Admission, seq: u64) -> Self {
        let delivery = &admission.delivery;
        let (entry, token) = (delivery.entry.clone(), delivery.token.clone());
        Self {
            id: sim.id(),
            claim: Claim { task: delivery.task, entry, token, last: seq },
            attempt: Attempt::new(POLICY, Spent::default()),
            began: sim.now,
            term: admission.term,
            tree: None,
            held_until: sim.now + TASK_HELD,
            conclusion: None,
            failed: None,
            abandoned: false,
            orphan: false,
            pause: 50,
        }
    }
}

impl Sim {
    pub(crate) fn begin(&mut self, node: usize, hand: u64) {
        let preparing = self.rng.u64(1..400);
        self.soon(node, preparing, Local::Spawn { hand });
        self.soon(node, TASK_PERIOD, Local::Renew { hand });
        self.tick(node, hand);
    }

    fn hand(&mut self, node: usize, id: u64) -> Option<&mut Hand> {
        let it = &mut self.nodes[node];
        let busy = it.slots.iter_mut().filter_map(|place| match place {
            Place::Busy(hand) => Some(&mut **hand),
            _ => None,
        });
        busy.chain(&mut it.left).find(|hand| hand.id == id)
    }

    /// True while nothing has come between this attempt's start and now that gave its task away.
    fn may_go_on(&self, node: usize, term: u64) -> bool {
        !self.rules.terms || (self.is_held(node) && self.nodes[node].term == term)
    }

    pub(crate) fn spawn(&mut self, node: usize, id: u64) {
        let Some(hand) = self.hand(node, id) else { return };
        if hand.abandoned || hand.orphan || hand.conclusion.is_some() {
            return;
        }
        let (term, task, token) = (hand.term, hand.claim.task, hand.claim.token.clone());
        if !self.may_go_on(node, term) {
            return self.not_started(node, id);
        }
        let tree = self.spawn_tree(node, id, task, token);
        if let Some(hand) = self.hand(node, id) {
            hand.tree = Some(tree);
        }
        self.heard(node, id, Input::Spawned);
    }

    pub(crate) fn not_started(&mut self, node: usize, id: u64) {
        let failure = Failure { kind: FailureKind::Spawn, message: "it was not started".to_owned() };
        self.heard(node, id, Input::NotStarted(failure));
    }

    /// Takes an input to the machine and does what it says.
    pub(crate) fn heard(&mut self, node: usize, id: u64, input: Input) {
        let now = self.now;
        let Some(hand) = self.hand(node, id) else { return };
        if hand.orphan {
            // Nobody drives it any more; whoever cleans up waits for the end of its processes.
            if input == Input::TreeGone && hand.conclusion.is_none() {
                self.concludes(node, id, Conclusion::Interrupted("its worker failed".to_owned()));
            }
            return;
        }
        let term = hand.term;
        let elapsed = Duration::from_millis(now - hand.began);
        let mut inputs = vec![input];
        // What ended while this node had no lease was ended by its guard, or for somebody else.
        if !self.may_go_on(node, term) {
            inputs.insert(0, Input::LeaseLost);
        }
        for input in inputs {
            let Some(hand) = self.hand(node, id) else { return };
            let (actions, tree) = (hand.attempt.step(input, elapsed), hand.tree);
            for action in actions {
                match action {
                    Action::Signal(signal) => tree.into_iter().for_each(|tree| self.signal(tree, signal)),
                    Action::Abandon => {
                        if let Some(hand) = self.hand(node, id) {
                            hand.abandoned = true;
                        }
                        self.soon(node, 1, Local::NotStarted { hand: id });
                    }
                    Action::Note(_) => {}
                    Action::Conclude(conclusion) => self.concludes(node, id, conclusion),
                }
            }
        }
        self.tick(node, id);
    }

    fn tick(&mut self, node: usize, id: u64) {
        let now = self.now;
        if let Some(hand) = self.hand(node, id)
            && let Some(deadline) = hand.attempt.deadline()
        {
            let at = hand.began + u64::try_from(deadline.as_millis()).unwrap();
            self.soon(node, at.saturating_sub(now), Local::Deadline { hand: id });
        }
    }

    pub(crate) fn renew(&mut self, node: usize, id: u64) {
        let now = self.now;
        let Some(hand) = self.hand(node, id) else { return };
        if hand.orphan || hand.conclusion.is_some() {
            return;
        }
        if hand.held_until <= now {
            return self.heard(node, id, Input::LeaseLost);
        }
        let token = hand.claim.token.clone();
        self.ask(node, Ask::Renew(token), Then::Renewed { hand: id });
    }

    pub(crate) fn renewed(&mut self, node: usize, id: u64, asked: Millis, told: &Told) {
        let now = self.now;
        let Some(hand) = self.hand(node, id) else { return };
        let wait = match told {
            Told::Done if now < hand.held_until => {
                hand.held_until = asked + TASK_HELD;
                (asked + TASK_PERIOD).saturating_sub(now)
            }
            _ => (TASK_PERIOD / 8).min(hand.held_until.saturating_sub(now)),
        };
        self.soon(node, wait, Local::Renew { hand: id });
    }

    fn concludes(&mut self, node: usize, id: u64, conclusion: Conclusion) {
        self.say(|| format!("node {node}: hand {id} concludes {conclusion:?}"));
        if let Some(hand) = self.hand(node, id) {
            hand.conclusion = Some(conclusion);
        }
        if let Some(tree) = self.hand(node, id).and_then(|hand| hand.tree)
            && self.trees[tree].alive
        {
            self.wrong(format!("hand {id} concludes while tree {tree} lives"));
        }
        self.conclude(node, id);
    }

    /// Writes down how an attempt ended: until it is written, or somebody else has written.
    pub(crate) fn conclude(&mut self, node: usize, id: u64) {
        let (random, now, policy) = (self.rng.f64(), self.timestamp(), self.policy());
        let retry = Retry { policy, commands: false, random };
        let Some(hand) = self.hand(node, id) else { return };
        let Some(conclusion) = hand.conclusion.clone() else { return };
        if let Some(failed) = hand.failed {
            return self.queue_after(node, id, failed);
        }
        let Claim { task, last, .. } = hand.claim;
        let entry = hand.claim.entry.clone();
        let outcome = Outcome::default();
        let mut after = None;
        let what = match next(conclusion, &entry, &retry) {
            Next::Complete => What::Completed { outcome },
            Next::Cancel(reason) => What::Cancelled { reason, outcome: Some(outcome) },
            Next::Fail(failure) => What::Failed { failure, outcome },
            Next::RetryAfter(failure, delay) if delay.is_zero() => {
                let event = self.event(task, entry.attempt, What::AttemptFailed { failure, outcome, retry_at: now });
                let batch = vec![self.message(task, event, Some(last))];
                return self.ask(node, Ask::Append(batch), Then::Failed { hand: id });
            }
            Next::RetryAfter(failure, delay) => {
                let retry_at = now.checked_add(delay).unwrap();
                let due = u64::try_from(retry_at.as_millisecond()).unwrap().div_ceil(1_000) * 1_000;
                after = Some(Body::Scheduled(once_more(&entry, now), due));
                What::AttemptFailed { failure, outcome, retry_at }
            }
            Next::Defer { reason, until } => {
                after = Some(Body::Entry(later(&entry, now)));
                What::Deferred { reason, until, run: None }
            }
            Next::Requeue(reason) => {
                after = Some(Body::Entry(again(&entry, now)));
                What::Interrupted { reason, run: None }
            }
        };
        let lane = Lane::after(&what, entry.task.priority);
        let event = self.event(task, entry.attempt, what);
        let mut batch = vec![self.message(task, event, Some(last))];
        batch.extend(after.map(|body| Outgoing { task, body, lane, expect: None, id: self.id() }));
        self.ask(node, Ask::Append(batch), Then::Concluded { hand: id });
    }

    pub(crate) fn failed(&mut self, node: usize, id: u64, told: &Told) {
        let Some(hand) = self.hand(node, id) else { return };
        match told {
            Told::Stored(seq) => {
                hand.failed = Some(*seq);
                self.queue_after(node, id, *seq);
            }
            told => self.concluded(node, id, told),
        }
    }

    /// The entry that follows, behind its event.
    fn queue_after(&mut self, node: usize, id: u64, after: u64) {
        let now = self.timestamp();
        let Some(hand) = self.hand(node, id) else { return };
        let Claim { task, entry, token, .. } = &hand.claim;
        let next = QueueEntry { after: Some(after), ..once_more(entry, now) };
        let (task, over) = (*task, token_seq(token).unwrap_or_default());
        self.queue_behind(node, Behind { next, task, after, over, whose: Whose::Hand(id) });
    }

    pub(crate) fn concluded(&mut self, node: usize, id: u64, told: &Told) {
        let Some(hand) = self.hand(node, id) else { return };
        match told {
            Told::Stored(_) => {
                let token = hand.claim.token.clone();
                self.ask(node, Ask::Ack(token), Then::Nothing);
                self.let_go(node, id);
            }
            Told::Conflict => {
                let task = hand.claim.task;
                self.ask(node, Ask::LastEvent(task), Then::Fenced { hand: id });
            }
            _ => self.conclude_later(node, id),
        }
    }

    pub(crate) fn fenced(&mut self, node: usize, id: u64, told: Told) {
        let Some(hand) = self.hand(node, id) else { return };
        let Told::Event(last) = told else { return self.conclude_later(node, id) };
        let seen = last.as_ref().map(|(event, seq)| (event, *seq));
        match fence(hand.claim.last, &hand.claim.token, seen) {
            Some(Fence::CancelRequested(reason)) => {
                hand.claim.last = last.map_or(0, |(_, seq)| seq);
                hand.conclusion = Some(Conclusion::Cancelled(reason));
                self.conclude(node, id);
            }
            Some(Fence::Lost) => {
                let (task, entry) = (hand.claim.task, hand.claim.entry.clone());
                self.let_go(node, id);
                // Perhaps its own, whose answer was lost: then what follows is still to be queued.
                if let Some((event, seq)) = last.filter(|(event, _)| matches!(event.what, What::AttemptFailed { .. })) {
                    self.queue_next(node, &event, seq, (task, &entry), Whose::Nobody);
                }
            }
            Some(Fence::Own) | None => self.conclude_later(node, id),
        }
    }

    pub(crate) fn conclude_later(&mut self, node: usize, id: u64) {
        if let Some(hand) = self.hand(node, id) {
            let pause = hand.pause;
            hand.pause = (pause * 2).min(5_000);
            self.soon(node, pause, Local::Conclude { hand: id });
        }
    }

    fn let_go(&mut self, node: usize, id: u64) {
        self.nodes[node].left.retain(|hand| hand.id != id);
        let places = &self.nodes[node].slots;
        if let Some(slot) = places.iter().position(|place| matches!(place, Place::Busy(hand) if hand.id == id)) {
            self.idle(node, slot);
        }
    }

    pub(crate) fn cancel_here(&mut self, node: usize, task: Task) {
        let ours = |place: &Place| match place {
            Place::Busy(hand) if hand.claim.task == task => Some(hand.id),
            _ => None,
        };
        if let Some(hand) = self.nodes[node].slots.iter().find_map(ours) {
            self.heard(node, hand, Input::Cancel("cancelled on request".to_owned()));
        }
    }

    /// A worker's actor fails: what it had in hand is ended and put back by others, and its place is free.
    pub(crate) fn worker_fails(&mut self, node: usize) {
        let places = &mut self.nodes[node].slots;
        let busy: Vec<_> = (0..places.len()).filter(|slot| matches!(places[*slot], Place::Busy(_))).collect();
        let Some(slot) = self.rng.choice(busy) else { return };
        let place = std::mem::replace(&mut self.nodes[node].slots[slot], Place::Idle);
        let Place::Busy(mut hand) = place else { return };
        let (id, tree, over) = (hand.id, hand.tree, hand.conclusion.is_some());
        self.say(|| format!("node {node}: the worker of hand {id} fails"));
        hand.orphan = true;
        // What was to be written is forgotten with the worker, and the write under way decides for itself.
        let reason = "its worker failed".to_owned();
        hand.conclusion = None;
        self.nodes[node].left.push(*hand);
        match tree.filter(|tree| self.trees[*tree].alive) {
            Some(tree) if !over => self.signal(tree, Signal::Kill),
            _ => self.concludes(node, id, Conclusion::Interrupted(reason)),
        }
        self.pull(node);
    }
}
