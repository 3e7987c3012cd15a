use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::event::{Hold, Outcome, What};
use crate::id::AgentName;
use crate::run::{RunReport, Tokens};
use crate::spend::{Expense, expense};
use crate::task::QueueEntry;
use crate::turn::samples::{entry, node, started};
use crate::view::{Record, TaskView, fold};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn name(text: &str) -> DepartmentName {
    DepartmentName::new(text).unwrap()
}

fn task(n: u8) -> TaskId {
    TaskId::from_idempotency_key(&n.to_string())
}

fn tokens(tokens: u64) -> Spent {
    Spent { tokens, ..Spent::default() }
}

fn company(own: Option<u64>, all: Option<u64>) -> Company {
    let budget = |tokens| Budget { tokens, ..Budget::default() };
    let policy = |budget| Arc::new(crate::department::Department { budget, ..Default::default() });
    Company {
        name: String::new(),
        default_department: name("qa"),
        departments: [(name("qa"), policy(budget(own))), (name("product"), policy(budget(None)))].into(),
        agents: BTreeMap::new(),
        restart: crate::restart::RestartPolicy::default(),
        budget: budget(all),
        delegation: Default::default(),
        retention: crate::units::Span::from_secs(1),
        shutdown_grace: crate::units::Span::from_secs(1),
    }
}

fn purses(own: Option<u64>, all: Option<u64>) -> Purses {
    let mut purses = Purses::default();
    purses.set(&company(own, all));
    purses
}

/// Says it of an attempt, and what it is told.
fn spend(purses: &mut Purses, n: u8, department: &str, total: u64, now: i64) -> Verdict {
    purses.spend(task(n), &name(department), tokens(total), at(now));
    let news = purses.news(at(now));
    purses.verdict(&name(department), &news, at(now))
}

#[test]
fn a_department_is_warned_once_a_day_and_then_ended() {
    let mut purses = purses(Some(1000), None);
    assert_eq!(spend(&mut purses, 1, "qa", 500, 0), Verdict::Within);
    let warned = Verdict::Warn("the department qa has used 80 % of its budget of 1000 tokens of today".to_owned());
    assert_eq!(spend(&mut purses, 2, "qa", 300, 1), warned);
    assert_eq!(spend(&mut purses, 2, "qa", 310, 2), Verdict::Within);
    assert!(purses.warning(&name("qa"), at(2)).unwrap().contains("81 %"));
    let Verdict::Over { reason, until } = spend(&mut purses, 1, "qa", 700, 3) else { panic!("it goes on") };
    assert_eq!(
        (reason.as_str(), until),
        (
            "its budget of today is used up (the department qa has used up its budget of 1000 tokens), until 00:00 UTC",
            at(86_400)
        )
    );
    // The other one hears of it when it says something; a department with no budget goes on.
    assert!(matches!(spend(&mut purses, 2, "qa", 310, 4), Verdict::Over { .. }));
    assert_eq!(spend(&mut purses, 3, "product", 9999, 4), Verdict::Within);
    assert!(purses.closed(&name("qa"), at(4)).is_some() && purses.closed(&name("product"), at(4)).is_none());
    // More may be spent, and is, from that moment on.
    purses.set(&company(Some(5000), None));
    assert!(purses.news(at(5)).turned);
    assert_eq!(purses.closed(&name("qa"), at(5)), None);
}

#[test]
fn the_company_s_purse_is_everybody_s() {
    let mut purses = purses(None, Some(1000));
    assert_eq!(spend(&mut purses, 1, "qa", 700, 0), Verdict::Within);
    let Verdict::Over { reason, .. } = spend(&mut purses, 2, "product", 300, 0) else { panic!("it goes on") };
    assert!(reason.starts_with("the company's budget of today is used up (the company has"), "{reason}");
    assert!(purses.closed(&name("qa"), at(0)).is_some());
}

#[test]
fn the_next_day_begins_with_nothing_spent_but_what_still_runs() {
    let mut purses = purses(Some(1000), None);
    let mut spending = Spending::default();
    spending.add(name("qa"), AgentName::new("codex").unwrap(), tokens(950));
    purses.count(day(at(0)), spending);
    assert!(matches!(spend(&mut purses, 1, "qa", 60, 10), Verdict::Over { .. }));
    assert!(purses.news(at(86_400)).turned);
    assert_eq!(purses.spent(Some(&name("qa")), at(86_400)), tokens(60));
}

#[derive(Clone, Debug)]
enum Step {
    /// The attempt of this task spends so much more.
    Spend(u8, u64),
    /// It tells the ledger.
    Tell(u8),
    /// It ends: its end is on the ledger before or after this node's worker says so.
    End(u8, bool),
    /// The history folds some of what it hasn't.
    Fold(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let task = 0_u8..3;
    prop_oneof![
        (task.clone(), 1_u64..100).prop_map(|(n, more)| Step::Spend(n, more)),
        task.clone().prop_map(Step::Tell),
        (task, any::<bool>()).prop_map(|(n, first)| Step::End(n, first)),
        (0_usize..6).prop_map(Step::Fold),
    ]
}

/// A node: its purses, a ledger, and how far that is folded.
#[derive(Default)]
struct World {
    purses: Purses,
    views: HashMap<TaskId, TaskView>,
    ledger: Vec<Event>,
    folded: usize,
    spending: Spending,
    running: HashMap<u8, u64>,
    /// All spending together.
    truth: u64,
    clock: i64,
}

impl World {
    fn write(&mut self, n: u8, what: What) {
        let mut event = crate::turn::samples::event(1, what);
        (event.task_id, event.at) = (task(n), at(self.clock));
        self.ledger.push(event);
    }

    fn run(total: u64) -> RunReport {
        RunReport { tokens: Tokens { input: total, ..Tokens::default() }, ..RunReport::default() }
    }

    fn fold(&mut self, records: usize) {
        let upto = (self.folded + records).min(self.ledger.len());
        for event in &self.ledger[self.folded..upto] {
            let record = Record::Event(event.clone());
            let mut first = entry(1);
            first.task.id = event.task_id;
            let before = self.views.remove(&event.task_id).unwrap_or_else(|| TaskView::new(&QueueEntry { ..first }));
            let after = fold(Some(before.clone()), &record).unwrap();
            if let Some(Expense { purse, spent }) = expense(Some(&before), Some(&after), &record) {
                self.spending.add(purse.department, purse.agent, spent);
            }
            self.views.insert(event.task_id, after);
            self.purses.hear(event);
        }
        self.folded = upto;
        self.purses.count(day(at(0)), self.spending.clone());
    }

    fn step(&mut self, step: Step) {
        self.clock += 1;
        match step {
            Step::Spend(n, more) => {
                if !self.running.contains_key(&n) {
                    self.write(n, started("d"));
                }
                let total = self.running.entry(n).or_default();
                *total += more;
                self.truth += more;
                self.purses.spend(task(n), &name("qa"), tokens(*total), at(self.clock));
            }
            Step::Tell(n) => {
                if let Some(total) = self.running.get(&n).copied() {
                    let of = Hold { node: node(), delivery: String::new() };
                    let agent = AgentName::new("shell").unwrap();
                    self.write(n, What::Progressed { of, agent, run: Self::run(total), ran_ms: 0 });
                }
            }
            Step::End(n, first) => {
                let Some(total) = self.running.remove(&n) else { return };
                let reason = String::new();
                if total % 2 == 0 {
                    self.write(n, What::Interrupted { reason, run: Some(Self::run(total)) });
                } else {
                    let outcome = Outcome { run: Some(Self::run(total)), ..Outcome::default() };
                    self.write(n, What::Completed { outcome });
                }
                if first {
                    self.fold(usize::MAX / 2);
                }
                self.purses.end(task(n), at(self.clock));
            }
            Step::Fold(records) => self.fold(records),
        }
    }
}

proptest! {
    /// However far the history is behind, and in whichever order things become known: what is known to be spent is what was.
    #[test]
    fn nothing_is_missed_and_nothing_counted_twice(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::default();
        for step in steps {
            world.step(step.clone());
            let spent = world.purses.spent(Some(&name("qa")), at(0)).tokens;
            prop_assert_eq!(spent, world.truth, "after {:?}", step);
        }
        world.fold(usize::MAX / 2);
        prop_assert_eq!(world.purses.spent(None, at(0)).tokens, world.truth);
        prop_assert!(world.purses.ending.is_empty());
    }
}
