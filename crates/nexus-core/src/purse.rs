//! The purses of a day: what a department and the company may spend, what of it is spent, and what follows.
//!
//! Spending on the ledger is counted by the history; the further spending of running attempts is counted here, so that
//! nothing is missed and nothing counted twice however far the history is behind.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::budget::{Budget, Judgement, Spent};
use crate::company::Company;
use crate::event::Event;
use crate::id::{DepartmentName, TaskId};
use crate::spend::{Spending, day, is_end, next_day, told};

/// The answer to an attempt that tells its spending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Within,
    /// At least 80 % of a budget are spent: a sentence that says so, once a day and budget.
    Warn(String),
    /// Nothing is left of a budget: it goes no further, and its task waits in its queue until the next day, or until there is
    /// a bigger budget.
    Over {
        reason: String,
        until: Timestamp,
    },
}

/// Whose purse it is: a department's, or (`None`) the company's.
type Whose = Option<DepartmentName>;

/// All purses of a node.
#[derive(Clone, Debug, Default)]
pub struct Purses {
    budgets: BTreeMap<Whose, Budget>,
    /// The ledger's part of this day.
    folded: Option<(Date, Spending)>,
    running: HashMap<TaskId, Meter>,
    /// Attempts that are over, and whose end isn't on the ledger yet, or not counted; the oldest first.
    ending: Vec<(TaskId, Meter)>,
    warned: Option<(Date, BTreeSet<Whose>)>,
    empty: BTreeSet<Whose>,
}

/// The spending of one attempt of this node.
#[derive(Clone, Debug)]
struct Meter {
    department: DepartmentName,
    began: Timestamp,
    /// As it says itself.
    said: Spent,
    /// As the ledger says, of what is counted by the history or about to be.
    heard: Spent,
    /// Of that, what is counted.
    counted: Spent,
    /// The ledger says that it is over.
    closed: bool,
}

/// The changes since the last time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Warnings, each of which is said once a day.
    pub warnings: Vec<String>,
    /// A purse is empty that wasn't, or not any more.
    pub turned: bool,
}

/// An attempt whose end doesn't get to the ledger is forgotten after that.
const FORGOTTEN: Duration = Duration::from_secs(24 * 60 * 60);

impl Purses {
    /// Goes by these budgets from now on.
    pub fn set(&mut self, company: &Company) {
        let own = company.departments.iter().map(|(name, policy)| (Some(name.clone()), policy.budget));
        let all = own.chain([(None, company.budget)]);
        self.budgets = all.filter(|(_, budget)| !budget.is_empty()).collect();
    }

    /// A running attempt has spent this by now, all together.
    pub fn spend(&mut self, task: TaskId, department: &DepartmentName, so_far: Spent, now: Timestamp) {
        let meter = self.running.entry(task).or_insert_with(|| Meter {
            department: department.clone(),
            began: now,
            said: Spent::default(),
            heard: Spent::default(),
            counted: Spent::default(),
            closed: false,
        });
        meter.said = most(meter.said, so_far);
    }

    /// The attempt is over.
    pub fn end(&mut self, task: TaskId, now: Timestamp) {
        self.ending.retain(|(_, meter)| now.duration_since(meter.began).unsigned_abs() < FORGOTTEN);
        if let Some(meter) = self.running.remove(&task).filter(|meter| !meter.beyond().is_nothing() || !meter.closed) {
            self.ending.push((task, meter));
        }
    }

    /// The ledger says this, in its order.
    pub fn hear(&mut self, event: &Event) {
        let task = event.task_id;
        let ending = self.ending.iter_mut().find(|(of, meter)| *of == task && !meter.closed).map(|(_, meter)| meter);
        let Some(meter) = ending.or_else(|| self.running.get_mut(&task)) else { return };
        // Of an attempt before, which is read once more.
        if event.at < meter.began {
            return;
        }
        if let Some(run) = told(event) {
            meter.heard = most(meter.heard, Spent::of(run, Duration::ZERO));
        }
        meter.closed |= is_end(event);
    }

    /// The history has counted this of `day`, which is all that was heard.
    pub fn count(&mut self, day: Date, spending: Spending) {
        self.folded = Some((day, spending));
        for meter in self.running.values_mut().chain(self.ending.iter_mut().map(|(_, meter)| meter)) {
            // What the ledger says of its end is all that there will ever be.
            meter.counted = if meter.closed { meter.said } else { meter.heard };
        }
        self.ending.retain(|(_, meter)| !meter.closed);
    }

    /// The spending of a department, or (`None`) of the company, today.
    #[must_use]
    pub fn spent(&self, whose: Option<&DepartmentName>, now: Timestamp) -> Spent {
        let folded = self.folded.as_ref().filter(|(of, _)| *of == day(now));
        let meters = self.running.values().chain(self.ending.iter().map(|(_, meter)| meter));
        let ours = meters.filter(|meter| whose.is_none_or(|whose| *whose == meter.department)).map(Meter::beyond);
        ours.fold(folded.map_or_else(Spent::default, |(_, spending)| spending.of(whose)), Spent::plus)
    }

    /// By whoever has spent it, as far as it is on the ledger.
    #[must_use]
    pub fn spending(&self, now: Timestamp) -> Option<&Spending> {
        self.folded.as_ref().filter(|(of, _)| *of == day(now)).map(|(_, spending)| spending)
    }

    /// The time until which nothing is left for a department today, and why, as a part of a sentence.
    #[must_use]
    pub fn closed(&self, department: &DepartmentName, now: Timestamp) -> Option<(Timestamp, String)> {
        let own = Some(department.clone());
        let (of, words) = [own, None].into_iter().find_map(|whose| match self.judge(&whose, now)? {
            Judgement::Over(words) => Some((if whose.is_some() { "its" } else { "the company's" }, words)),
            Judgement::Within | Judgement::Near(_) => None,
        })?;
        Some((next_day(now), format!("{of} budget of today is used up ({words}), until 00:00 UTC")))
    }

    /// A warning about a department's purse, or the company's, of which little is left today.
    #[must_use]
    pub fn warning(&self, department: &DepartmentName, now: Timestamp) -> Option<String> {
        [Some(department.clone()), None].into_iter().find_map(|whose| match self.judge(&whose, now)? {
            Judgement::Near(words) => Some(today(&words)),
            Judgement::Within | Judgement::Over(_) => None,
        })
    }

    /// The changes since this was asked last, to be said and acted on.
    pub fn news(&mut self, now: Timestamp) -> News {
        let today_is = day(now);
        let mut warned = self.warned.take().filter(|(of, _)| *of == today_is).map(|(_, who)| who).unwrap_or_default();
        let mut warnings = Vec::new();
        let mut empty = BTreeSet::new();
        for whose in self.budgets.keys() {
            match self.judge(whose, now) {
                Some(Judgement::Near(words)) if warned.insert(whose.clone()) => warnings.push(today(&words)),
                Some(Judgement::Over(_)) => drop(empty.insert(whose.clone())),
                _ => {}
            }
        }
        let turned = empty != self.empty;
        (self.warned, self.empty) = (Some((today_is, warned)), empty);
        News { warnings, turned }
    }

    /// The consequence for an attempt of a department.
    #[must_use]
    pub fn verdict(&self, department: &DepartmentName, news: &News, now: Timestamp) -> Verdict {
        match self.closed(department, now) {
            Some((until, reason)) => Verdict::Over { reason, until },
            None if news.warnings.is_empty() => Verdict::Within,
            None => Verdict::Warn(news.warnings.join("; ")),
        }
    }

    fn judge(&self, whose: &Whose, now: Timestamp) -> Option<Judgement> {
        let budget = self.budgets.get(whose)?;
        let name = whose.as_ref().map_or_else(|| "the company".to_owned(), |name| format!("the department {name}"));
        Some(budget.judge(&self.spent(whose.as_ref(), now), &name))
    }
}

impl Meter {
    /// The part that the history doesn't count.
    const fn beyond(&self) -> Spent {
        self.said.since(self.counted)
    }
}

fn today(words: &str) -> String {
    format!("{words} of today")
}

fn most(one: Spent, other: Spent) -> Spent {
    Spent {
        tokens: one.tokens.max(other.tokens),
        turns: one.turns.max(other.turns),
        cost_micros: one.cost_micros.max(other.cost_micros),
        wall_ms: one.wall_ms.max(other.wall_ms),
    }
}

#[cfg(test)]
mod tests;
