//! Today's spending of departments and of the company, kept by what the history has folded and by what running attempts say.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use jiff::civil::Date;
use nexus_agents::Closed;
use nexus_core::budget::Spent;
use nexus_core::company::Company;
use nexus_core::event::Event;
use nexus_core::id::{AgentName, DepartmentName, TaskId};
use nexus_core::purse;
use nexus_core::spend::Spending;
use tokio::sync::watch;

pub(crate) use nexus_core::purse::Verdict;

/// The purses of a node.
#[derive(Debug, Default)]
pub(crate) struct Purses {
    purses: Mutex<purse::Purses>,
    /// Rung when one is empty that wasn't, or not any more.
    bell: watch::Sender<()>,
}

impl Purses {
    /// Goes by the budgets of this company from now on.
    pub(crate) fn set(&self, company: &Company) {
        let mut purses = self.lock();
        purses.set(company);
        self.news(&mut purses, Timestamp::now());
    }

    /// A running attempt has spent this by now, all together: whether it may go on.
    ///
    /// An attempt that is over its department's budget is to be deferred *without* a time (`until` is for people): it waits in
    /// its queue, from where it is taken when the budget is a new one, by the day or by a change of the configuration.
    pub(crate) fn spend(&self, task: TaskId, department: &DepartmentName, so_far: Spent) -> Verdict {
        let now = Timestamp::now();
        let mut purses = self.lock();
        purses.spend(task, department, so_far, now);
        let news = self.news(&mut purses, now);
        purses.verdict(department, &news, now)
    }

    /// The attempt is over, and how it ended is written down (or can't be).
    pub(crate) fn end(&self, task: TaskId) {
        self.lock().end(task, Timestamp::now());
    }

    /// The ledger says this; to be said of all that is folded, in its order, before it is counted.
    pub(crate) fn hear<'a>(&self, events: impl Iterator<Item = &'a Event>) {
        let mut purses = self.lock();
        events.for_each(|event| purses.hear(event));
    }

    /// The history has counted this of `day`, which is all that was heard.
    pub(crate) fn count(&self, day: Date, spending: Spending) {
        let mut purses = self.lock();
        purses.count(day, spending);
        self.news(&mut purses, Timestamp::now());
    }

    /// The reason why a department takes no work, where a budget of today is used up.
    pub(crate) fn closed(&self, department: &DepartmentName, now: Timestamp) -> Option<Closed> {
        self.lock().closed(department, now).map(|(until, why)| Closed { until, why })
    }

    /// Says of a department that little is left.
    pub(crate) fn warning(&self, department: &DepartmentName, now: Timestamp) -> Option<String> {
        self.lock().warning(department, now)
    }

    /// Today's spending of an agent's attempts, as far as it is on the ledger.
    pub(crate) fn spent_by(&self, agent: &AgentName, now: Timestamp) -> Spent {
        self.lock().spending(now).map_or_else(Spent::default, |spending| spending.by(agent))
    }

    /// Told when a department may take work again, or no more.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.bell.subscribe()
    }

    fn news(&self, purses: &mut purse::Purses, now: Timestamp) -> purse::News {
        let news = purses.news(now);
        news.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        if news.turned {
            self.bell.send_replace(());
        }
        news
    }

    fn lock(&self) -> MutexGuard<'_, purse::Purses> {
        self.purses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
