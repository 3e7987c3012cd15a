//! A node: what it remembers while it lives, its own lease, and what it does with each message.

use std::collections::{BTreeMap, BTreeSet};

use nexus_core::attempt::Input;
use nexus_core::event::Event;
use nexus_core::intake::Shares;
use nexus_core::lane::Lane;
use nexus_core::task::QueueEntry;

use crate::ledger::{Delivery, Millis, Task};
use crate::rules::{HELD, LAST_CALL, PERIOD};
use crate::wire::{Ask, Call, Told};
use crate::worker::Hand;
use crate::world::{Happening, Sim};

/// A machine with a company on it.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) up: bool,
    /// Counts its starts: what was meant for an earlier run is lost.
    pub(crate) run: u64,
    /// It stands still; what comes meanwhile waits.
    pub(crate) paused: bool,
    asleep: Vec<Local>,
    /// Nothing gets through to the broker, or back.
    pub(crate) cut: bool,
    /// Times for which its lease was held without a break.
    pub(crate) term: u64,
    pub(crate) held_until: Millis,
    guarded_until: Millis,
    /// Takes work: what the former run left has been put back.
    pub(crate) open: bool,
    pub(crate) former: BTreeSet<Task>,
    pub(crate) slots: Vec<Place>,
    pub(crate) taking: BTreeSet<Task>,
    /// Deliveries that were given back for a whole lease: the event that the task stood at, and when.
    pub(crate) deferred: BTreeMap<u64, (u64, Millis)>,
    /// Tasks that failed workers had in hand.
    pub(crate) left: Vec<Hand>,
    pub(crate) shares: Shares,
    pub(crate) woken: [bool; Lane::COUNT],
    pub(crate) pulling: bool,
    /// Of each node: the lease that was seen last, since when, and whether its work was put back.
    pub(crate) seen: Vec<(u64, Millis, bool)>,
}

#[derive(Debug)]
pub(crate) enum Place {
    Idle,
    /// A delivery is being looked at for it.
    Promised,
    Busy(Box<Hand>),
}

/// An event inside a node.
#[derive(Debug)]
pub(crate) enum Local {
    Answer(Box<(Call, Told)>),
    /// Look everywhere.
    LookAgain,
    Wake(Lane),
    PullAgain,
    /// Look once more at what was delivered.
    Admit(Box<Admission>),
    /// The workspace is there: start the agent.
    Spawn {
        hand: u64,
    },
    NotStarted {
        hand: u64,
    },
    Heard {
        hand: u64,
        input: Input,
    },
    Deadline {
        hand: u64,
    },
    Renew {
        hand: u64,
    },
    Conclude {
        hand: u64,
    },
    LeaseTick,
    LeaseOver,
    Watch,
    Former,
    PutBackLater(Revive),
    /// Somebody wants this task cancelled that is here.
    Cancel(Task),
    CancelLook {
        task: Task,
        asked: bool,
        deadline: Millis,
    },
    WorkerFails,
}

/// One delivery on its way to a worker.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    pub(crate) slot: usize,
    pub(crate) delivery: Delivery,
    pub(crate) looks: u32,
    pub(crate) term: u64,
}

/// The use of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Then {
    Nothing,
    Submitted(Task),
    SubmitUnlessKnown(Task),
    Pulled {
        lane: Lane,
        asked: usize,
    },
    Looked {
        admission: Admission,
        held: bool,
    },
    Started {
        admission: Admission,
    },
    Concluded {
        hand: u64,
    },
    /// That it failed and goes on at once is written; the next entry isn't yet.
    Failed {
        hand: u64,
    },
    Queued(Box<Behind>),
    Fenced {
        hand: u64,
    },
    Newest(Box<Behind>),
    Renewed {
        hand: u64,
    },
    LeaseTaken,
    LeaseSeen(usize),
    PutBack(Revive),
    LookedAgain(Revive, Event, u64),
    Entry(Revive, Event, u64),
    Revived(Revive),
    CancelLooked {
        task: Task,
        asked: bool,
        deadline: Millis,
    },
    CancelWritten {
        task: Task,
        holder: Option<usize>,
        deadline: Millis,
    },
    RetryLooked(Task),
    RetryEntry(Task, u64),
}

/// An entry that follows from an event which is on the ledger already.
#[derive(Clone, Debug)]
pub(crate) struct Behind {
    pub(crate) next: QueueEntry,
    pub(crate) task: Task,
    pub(crate) after: u64,
    /// The newest entry that is known.
    pub(crate) over: u64,
    pub(crate) whose: Whose,
}

/// Who queues it.
#[derive(Clone, Debug)]
pub(crate) enum Whose {
    Hand(u64),
    Admission(Box<Admission>),
    /// One that has let go of it.
    Nobody,
}

/// An attempt that is to be put back.
#[derive(Clone, Debug)]
pub(crate) struct Revive {
    pub(crate) task: Task,
    pub(crate) why: Why,
}

#[derive(Clone, Debug)]
pub(crate) enum Why {
    /// It is this node's, from its former run.
    Former,
    /// Its node's lease lapsed: that of this sequence was the last.
    Lapsed { node: usize, lease: u64 },
    /// It was delivered again.
    Delivered { admission: Box<Admission> },
}

const LOOK_AGAIN: Millis = 2_000;

impl Node {
    pub(crate) fn new(_: usize) -> Self {
        Self {
            up: false,
            run: 0,
            paused: false,
            asleep: Vec::new(),
            deferred: BTreeMap::new(),
            cut: false,
            term: 0,
            held_until: 0,
            guarded_until: 0,
            open: false,
            former: BTreeSet::new(),
            slots: Vec::new(),
            taking: BTreeSet::new(),
            left: Vec::new(),
            shares: Shares::default(),
            woken: [false; Lane::COUNT],
            pulling: false,
            seen: Vec::new(),
        }
    }

    /// Takes part in what goes on.
    pub(crate) fn is_well(&self) -> bool {
        self.up && !self.paused && self.open
    }
}

impl Sim {
    pub(crate) fn start_node(&mut self, node: usize) {
        let (run, workers, nodes) = (self.nodes[node].run + 1, self.rng.usize(1..4), self.nodes.len());
        let slots = (0..workers).map(|_| Place::Idle).collect();
        let cut = self.nodes[node].cut;
        let seen = vec![(0, self.now, true); nodes];
        self.nodes[node] = Node { up: true, run, cut, slots, seen, ..Node::new(node) };
        self.say(|| format!("node {node} starts, run {run}"));
        // Whatever carries its mark has lost its owner.
        self.end_all(node);
        self.soon(node, 50, Local::Former);
    }

    pub(crate) fn crash_node(&mut self, node: usize) {
        self.say(|| format!("node {node} crashes"));
        let it = &mut self.nodes[node];
        (it.up, it.open, it.paused) = (false, false, false);
        it.run += 1;
        (it.slots, it.left, it.asleep) = (Vec::new(), Vec::new(), Vec::new());
        it.taking.clear();
        // Its guard sees it at once.
        self.end_all(node);
    }

    pub(crate) fn go_on(&mut self, node: usize) {
        self.say(|| format!("node {node} goes on"));
        self.nodes[node].paused = false;
        let mut deferred = std::mem::take(&mut self.nodes[node].asleep);
        // Everything is ready at once; what comes first is anybody's guess, but one agent's events keep their order.
        let heard = |local: &Local| matches!(local, Local::Heard { .. });
        let agents: Vec<_> = deferred.extract_if(.., |local| heard(local)).collect();
        self.rng.shuffle(&mut deferred);
        let first = self.rng.bool();
        let run = self.nodes[node].run;
        let (a, b) = if first { (agents, deferred) } else { (deferred, agents) };
        for what in a.into_iter().chain(b) {
            self.after(0, Happening::Local { node, run, what });
        }
    }

    pub(crate) fn soon(&mut self, node: usize, delay: Millis, what: Local) {
        let run = self.nodes[node].run;
        self.after(delay, Happening::Local { node, run, what });
    }

    pub(crate) fn in_node(&mut self, node: usize, run: u64, what: Local) {
        let it = &mut self.nodes[node];
        if !it.up || it.run != run {
            return;
        }
        if it.paused {
            it.asleep.push(what);
            return;
        }
        match what {
            Local::Answer(answer) => self.answered(answer.0, answer.1),
            Local::LookAgain => {
                self.nodes[node].shares.woken_all();
                self.soon(node, LOOK_AGAIN, Local::LookAgain);
                self.pull(node);
            }
            Local::Wake(lane) => {
                self.nodes[node].woken[lane.index()] = true;
                self.nodes[node].shares.woken(lane);
                self.pull(node);
            }
            Local::PullAgain => {
                self.nodes[node].pulling = false;
                self.pull(node);
            }
            Local::Admit(admission) => self.look(node, *admission),
            Local::Spawn { hand } => self.spawn(node, hand),
            Local::NotStarted { hand } => self.not_started(node, hand),
            Local::Heard { hand, input } => self.heard(node, hand, input),
            Local::Deadline { hand } => self.heard(node, hand, Input::Tick),
            Local::Renew { hand } => self.renew(node, hand),
            Local::Conclude { hand } => self.conclude(node, hand),
            Local::LeaseTick => self.ask(node, Ask::TakeLease, Then::LeaseTaken),
            Local::LeaseOver => self.lease_over(node),
            Local::Watch => self.watch(node),
            Local::Former => self.former(node),
            Local::PutBackLater(revive) => self.ask(node, Ask::LastEvent(revive.task), Then::PutBack(revive)),
            Local::Cancel(task) => self.cancel_here(node, task),
            Local::CancelLook { task, asked, deadline } => {
                self.ask(node, Ask::LastEvent(task), Then::CancelLooked { task, asked, deadline });
            }
            Local::WorkerFails => self.worker_fails(node),
        }
    }

    pub(crate) fn then(&mut self, node: usize, asked: Millis, then: Then, told: Told) {
        match then {
            Then::Nothing => {}
            Then::Submitted(task) => self.submitted(task, &told),
            Then::SubmitUnlessKnown(task) => self.submit_unless_known(node, task, &told),
            Then::Pulled { lane, asked } => self.pulled(node, lane, asked, told),
            Then::Looked { admission, held } => self.looked(node, admission, held, told),
            Then::Started { admission } => self.started(node, admission, &told),
            Then::Concluded { hand } => self.concluded(node, hand, &told),
            Then::Failed { hand } => self.failed(node, hand, &told),
            Then::Queued(behind) => self.queued(node, *behind, &told),
            Then::Fenced { hand } => self.fenced(node, hand, told),
            Then::Newest(behind) => self.newest(node, *behind, told),
            Then::Renewed { hand } => self.renewed(node, hand, asked, &told),
            Then::LeaseTaken => self.lease_taken(node, asked, &told),
            Then::LeaseSeen(other) => self.lease_seen(node, other, asked, &told),
            Then::PutBack(revive) => self.put_back(node, revive, told),
            Then::LookedAgain(revive, event, seq) => self.looked_again(node, revive, event, seq, &told),
            Then::Entry(revive, event, seq) => self.revive(node, revive, &event, seq, told),
            Then::Revived(revive) => self.revived(node, revive, &told),
            Then::CancelLooked { task, asked, deadline } => self.cancel_looked(node, task, asked, deadline, told),
            Then::CancelWritten { task, holder, deadline } => {
                self.cancel_written(node, task, holder, deadline, &told);
            }
            Then::RetryLooked(task) => self.retry_looked(node, task, told),
            Then::RetryEntry(task, expect) => self.retry_entry(node, task, expect, told),
        }
    }

    /// True while agents may be started.
    pub(crate) fn is_held(&self, node: usize) -> bool {
        self.now < self.nodes[node].held_until
    }

    fn lease_taken(&mut self, node: usize, asked: Millis, told: &Told) {
        let (held, lapses) = (asked + HELD, asked + LAST_CALL);
        if !matches!(told, Told::Done) {
            return self.soon(node, PERIOD / 8, Local::LeaseTick);
        }
        if held <= self.now {
            // This process stood still, or the answer was late: nothing is won.
            return self.soon(node, 10, Local::LeaseTick);
        }
        let lapsed = !self.is_held(node);
        let it = &mut self.nodes[node];
        it.guarded_until = lapses;
        it.held_until = held;
        it.term += u64::from(lapsed);
        let (run, first) = (it.run, !it.open);
        self.after(lapses - self.now, Happening::Guard { node, run });
        self.soon(node, held - self.now, Local::LeaseOver);
        let next = (asked + PERIOD).saturating_sub(self.now);
        self.soon(node, next, Local::LeaseTick);
        if first {
            self.nodes[node].open = true;
            self.say(|| format!("node {node} takes work"));
            self.soon(node, 0, Local::LookAgain);
            self.soon(node, 0, Local::Watch);
        }
    }

    fn lease_over(&mut self, node: usize) {
        if self.is_held(node) || !self.rules.terms {
            return;
        }
        self.say(|| format!("node {node}: its lease is over"));
        let busy = self.nodes[node].slots.iter();
        let hands: Vec<_> =
            busy.filter_map(|place| if let Place::Busy(hand) = place { Some(hand.id) } else { None }).collect();
        for hand in hands {
            self.heard(node, hand, Input::LeaseLost);
        }
    }

    /// Runs beside the node, whether that stands still or not.
    pub(crate) fn guard(&mut self, node: usize, run: u64) {
        let it = &self.nodes[node];
        if it.up && it.run == run && it.guarded_until <= self.now && self.rules.guard {
            self.say(|| format!("node {node}: its guard ends its agents"));
            self.end_all(node);
        }
    }
}
