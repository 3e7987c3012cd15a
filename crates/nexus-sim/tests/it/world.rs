//! The world: virtual time, what is to happen when, and everything that there is.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nexus_core::event::{Event, What};
use nexus_core::id::{DepartmentName, TaskId};
use nexus_core::retry::{Backoff, RetryPolicy};
use nexus_core::task::{QueueEntry, Submission, Task as Work};
use nexus_core::units::Span;

use crate::agents::{Tree, TreeEvent};
use crate::check::Story;
use crate::faults::Fault;
use crate::ledger::{Ledger, Millis, Task};
use crate::node::{Local, Node};
use crate::rules::{Rules, TASK_LEASE};
use crate::wire::{Call, Told};

/// An event to come.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A request reaches the broker; `late`: its caller waits no longer.
    Arrive {
        call: Box<Call>,
        late: bool,
    },
    /// An answer reaches its caller.
    Answer {
        call: Box<Call>,
        told: Box<Told>,
    },
    /// Something inside a node; nothing happens there while it stands still.
    Local {
        node: usize,
        run: u64,
        what: Local,
    },
    Tree {
        tree: usize,
        event: TreeEvent,
    },
    /// The guard of a node looks whether the node still goes on.
    Guard {
        node: usize,
        run: u64,
    },
    /// Somebody asks for a task.
    User {
        task: Task,
        wish: Wish,
    },
    /// The broker publishes what has come due.
    Schedules,
    Fault(Fault),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Submit,
    Cancel,
    Retry,
}

/// The state of a task, seen from outside.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) acknowledged: bool,
    /// The number of its attempts that fail by themselves.
    pub(crate) failures: u32,
}

pub(crate) struct Sim {
    pub(crate) rng: fastrand::Rng,
    pub(crate) now: Millis,
    agenda: BTreeMap<(Millis, u64), Happening>,
    order: u64,
    pub(crate) rules: Rules,
    pub(crate) ledger: Ledger,
    pub(crate) broker_up: bool,
    /// The number of writes of each node's lease.
    pub(crate) leases: Vec<u64>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) trees: Vec<Tree>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) stories: Vec<Story>,
    policy: RetryPolicy,
    /// The policy is another one each time.
    changing: bool,
    /// Faults happen, and messages get lost.
    pub(crate) stormy: bool,
    pub(crate) violation: Option<String>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    trace: Option<Vec<String>>,
    ids: u64,
}

/// A run that is longer than this hangs.
const PATIENCE: Millis = 3_600_000;

impl Sim {
    pub(crate) fn new(seed: u64, rules: Rules, traced: bool) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (nodes, tasks) = (rng.usize(1..4), rng.usize(3..12));
        // Retries wait for some time, for none, or for the one or the other: a department's file may change at any time.
        let initial = Span::from_secs(2 * u64::from(seed.is_multiple_of(3)));
        let backoff = Backoff { initial, ..Backoff::default() };
        let policy = RetryPolicy { max_attempts: rng.u32(1..4), commands: None, backoff };
        let mut sim = Self {
            rng,
            now: 0,
            agenda: BTreeMap::new(),
            order: 0,
            rules,
            ledger: Ledger::new(TASK_LEASE),
            broker_up: true,
            leases: vec![0; nodes],
            nodes: (0..nodes).map(Node::new).collect(),
            trees: Vec::new(),
            jobs: Vec::new(),
            stories: Vec::new(),
            policy,
            changing: seed % 3 == 2,
            stormy: true,
            violation: None,
            counts: BTreeMap::new(),
            trace: traced.then(Vec::new),
            ids: 0,
        };
        for n in 0..tasks {
            sim.plan(n);
        }
        for node in 0..nodes {
            sim.start_node(node);
        }
        sim.plan_faults();
        sim
    }

    /// Runs until every task has ended, or something is not as it should be.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        while self.violation.is_none() {
            let Some(((at, _), happening)) = self.agenda.pop_first() else {
                return Err("nothing happens any more".to_owned());
            };
            self.now = at;
            self.happen(happening);
            if !self.stormy && self.is_over() {
                break;
            }
            if self.now > PATIENCE {
                return Err(self.unended());
            }
        }
        match self.violation.take() {
            Some(violation) => Err(violation),
            None => self.check_end(),
        }
    }

    pub(crate) fn after(&mut self, delay: Millis, happening: Happening) {
        self.order += 1;
        self.agenda.insert((self.now + delay, self.order), happening);
    }

    pub(crate) fn wrong(&mut self, what: String) {
        self.say(|| format!("WRONG: {what}"));
        self.violation.get_or_insert(what);
    }

    pub(crate) fn say(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>9.3} {}", self.now as f64 / 1000.0, what()));
        }
    }

    pub(crate) fn trace(&self) -> String {
        self.trace.as_ref().map(|lines| lines.join("\n")).unwrap_or_default()
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub(crate) fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    pub(crate) fn policy(&mut self) -> RetryPolicy {
        let mut policy = self.policy;
        if self.changing {
            // Long enough to come due when somebody has put the task back by hand, and it runs again.
            policy.backoff.initial = Span::from_secs(self.rng.choice([0, 2, 20]).unwrap_or_default());
        }
        policy
    }

    pub(crate) fn timestamp(&self) -> Timestamp {
        Timestamp::from_millisecond(i64::try_from(self.now).unwrap()).unwrap()
    }

    pub(crate) fn event(&self, task: Task, attempt: u32, what: What) -> Event {
        let work = &self.jobs[task].work;
        Event::new(work.id, work.department.clone(), attempt, self.timestamp(), what)
    }

    pub(crate) fn entry(&self, task: Task) -> QueueEntry {
        QueueEntry::first(self.jobs[task].work.clone())
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrive { call, late } => self.arrive(call, late),
            Happening::Answer { call, told } => {
                let (node, run) = (call.node, call.run);
                self.in_node(node, run, Local::Answer(Box::new((*call, *told))));
            }
            Happening::Local { node, run, what } => self.in_node(node, run, what),
            Happening::Tree { tree, event } => self.tree(tree, event),
            Happening::Guard { node, run } => self.guard(node, run),
            Happening::User { task, wish } => self.wish(task, wish),
            Happening::Schedules => {
                if self.broker_up {
                    self.ledger.fire(self.now);
                }
                let delay = self.rng.u64(100..1_000);
                self.after(delay, Happening::Schedules);
            }
            Happening::Fault(fault) => self.fault(fault),
        }
    }

    /// A task, and what is asked for it and when.
    fn plan(&mut self, n: Task) {
        let submission = Submission::new("work");
        let created = self.rng.u64(0..60_000);
        let delayed = self.rng.u8(..5) == 0;
        let due = created + self.rng.u64(1..20_000);
        let at = |millis| Timestamp::from_millisecond(i64::try_from(millis).unwrap()).unwrap();
        let work = Work {
            id: TaskId::from_idempotency_key(&n.to_string()),
            department: DepartmentName::new("qa").unwrap(),
            description: submission.description,
            task_type: submission.task_type,
            project_path: submission.project_path,
            context: None,
            preferred_agent: None,
            priority: nexus_core::id::Priority::new(self.rng.u64(..10)).unwrap(),
            timeout_seconds: None,
            max_attempts: (self.rng.u8(..3) == 0).then(|| self.rng.u32(1..5)),
            not_before: delayed.then(|| at(due)),
            created_at: at(created),
            traceparent: None,
            parent: None,
            include_uncommitted: None,
        };
        let failures = if self.rng.bool() { 0 } else { self.rng.u32(1..5) };
        self.jobs.push(Job { work, acknowledged: false, failures });
        self.stories.push(Story::default());
        self.after(created, Happening::User { task: n, wish: Wish::Submit });
        for (wish, odds) in [(Wish::Cancel, 3), (Wish::Cancel, 6), (Wish::Retry, 3), (Wish::Retry, 6)] {
            if self.rng.u8(..odds) == 0 {
                let delay = created + self.rng.u64(0..120_000);
                self.after(delay, Happening::User { task: n, wish });
            }
        }
    }
}
