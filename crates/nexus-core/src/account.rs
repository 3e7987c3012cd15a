//! The account that an agent works on: open, closed by a rate limit until its reset, or unhealthy.
//!
//! A rate limit is a state of an account and no fault of a task: tasks wait for it, or go to another agent.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attempt::Conclusion;
use crate::due;
use crate::id::AgentName;
use crate::run::{Trouble, TroubleKind};
use crate::task::STORED_VERSION;

/// The state of one account: the payload of `nexus.account.<account>`, the newest of which holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountRecord {
    /// Version of the stored form.
    pub v: u32,
    /// The agent's name, or the `account` that it shares with others.
    pub account: AgentName,
    pub state: AccountState,
    /// Closings in a row: each is waited out for longer.
    #[serde(default)]
    pub strikes: u32,
    /// When this was written.
    #[schemars(with = "String")]
    pub at: Timestamp,
}

/// The ability of an account's agents to work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum AccountState {
    Open,
    /// It may not ask for more until then.
    Limited {
        #[schemars(with = "String")]
        until: Timestamp,
        reason: String,
    },
    /// Its credentials are not accepted. Tried again after that time, as somebody may have signed in.
    Unhealthy {
        #[schemars(with = "String")]
        until: Timestamp,
        reason: String,
    },
}

/// First wait after a rate limit that doesn't say when it is over; it doubles, up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);
/// A reset that is further away than this is not believed: the account is tried again then.
const FURTHEST: Duration = Duration::from_secs(8 * 24 * 60 * 60);
/// Shortest: an account that is asked again at once is limited again at once.
const SHORTEST: Duration = Duration::from_secs(1);
/// After that an account that was not signed in is tried again, by a task that fails if it still isn't: so the wait doubles,
/// up to the longest.
const LONGEST_UNHEALTHY: Duration = Duration::from_secs(24 * 60 * 60);
const UNHEALTHY: Duration = Duration::from_secs(15 * 60);
/// Resets that are this close together are the same one, told twice.
const SAME: Duration = Duration::from_secs(5);
/// Longest that a task waits for its own agent before it is looked at again: the account may have been opened by hand.
const LOOK_AGAIN: Duration = Duration::from_secs(5 * 60);

impl AccountRecord {
    #[must_use]
    pub const fn open(account: AgentName, at: Timestamp) -> Self {
        Self { v: STORED_VERSION, account, state: AccountState::Open, strikes: 0, at }
    }

    /// The state after an agent had this trouble; none where it says nothing of the account.
    #[must_use]
    pub fn after(before: Option<&Self>, account: &AgentName, trouble: &Trouble, now: Timestamp) -> Option<Self> {
        let reason = trouble.message.clone();
        let later = |delay: Duration| due::after(now, delay);
        let (state, strikes) = match trouble.kind {
            TroubleKind::Authentication => {
                let strikes = before.filter(|before| before.is_unhealthy()).map_or(0, |before| before.strikes);
                let wait = UNHEALTHY.saturating_mul(1 << strikes.min(10)).min(LONGEST_UNHEALTHY);
                (AccountState::Unhealthy { until: later(wait), reason }, strikes.saturating_add(1))
            }
            TroubleKind::RateLimit => {
                let strikes = before.filter(|before| before.counts(now)).map_or(0, |before| before.strikes);
                // One that is over at once, and then again, is not believed for ever.
                let least = SHORTEST.saturating_mul(1 << strikes.min(10)).min(FIRST_WAIT);
                let told = trouble.reset.map(|reset| reset.at(now).clamp(later(least), later(FURTHEST)));
                let wait = FIRST_WAIT.saturating_mul(1 << strikes.min(10)).min(LONGEST_WAIT);
                let until = told.unwrap_or_else(|| later(wait));
                (AccountState::Limited { until, reason }, strikes.saturating_add(1))
            }
            TroubleKind::Model | TroubleKind::Limit | TroubleKind::Protocol | TroubleKind::Crash => return None,
        };
        Some(Self { v: STORED_VERSION, account: account.clone(), state, strikes, at: now })
    }

    /// The same after what was known, where that changes anything: many agents of an account have the same trouble at once,
    /// and one record of it is enough. While it is closed, only what closes it for longer changes that; an agent that has
    /// begun before can't open it sooner.
    #[must_use]
    pub fn struck(before: Option<&Self>, account: &AgentName, trouble: &Trouble, now: Timestamp) -> Option<Self> {
        let Some((before, until)) = before.and_then(|before| Some((before, before.closed_until(now)?))) else {
            return Self::after(before, account, trouble, now);
        };
        // Without a time of its own it says no more than is known.
        let is_vague = trouble.kind == TroubleKind::RateLimit && trouble.reset.is_none();
        let mut after = Self::after(Some(before), account, trouble, now).filter(|_| !is_vague)?;
        match (&before.state, &mut after.state) {
            (AccountState::Limited { .. }, AccountState::Unhealthy { until: then, .. }) => {
                *then = until.max(*then);
                Some(after)
            }
            (_, AccountState::Limited { until: then, .. }) if *then > until.checked_add(SAME).unwrap_or(until) => {
                Some(after)
            }
            _ => None,
        }
    }

    /// Which of two holds that were written without knowing of each other.
    #[must_use]
    pub fn stronger(self, other: Self) -> Self {
        let rank = |record: &Self| match &record.state {
            AccountState::Open => None,
            AccountState::Limited { until, .. } => Some((*until, false)),
            AccountState::Unhealthy { until, .. } => Some((*until, true)),
        };
        let (ours, theirs) = (rank(&self), rank(&other));
        let ours_holds = match (ours, theirs) {
            // The later reset.
            (Some(ours), Some(theirs)) => (ours, self.at) >= (theirs, other.at),
            // Somebody has opened it by hand, or it was closed after that.
            _ => (self.at, ours.is_some()) >= (other.at, theirs.is_some()),
        };
        if ours_holds { self } else { other }
    }

    const fn is_unhealthy(&self) -> bool {
        matches!(self.state, AccountState::Unhealthy { .. })
    }

    /// Its limits are still counted: the last one is not long over.
    fn counts(&self, now: Timestamp) -> bool {
        match &self.state {
            AccountState::Limited { until, .. } => now < until.checked_add(LONGEST_WAIT).unwrap_or(*until),
            AccountState::Open | AccountState::Unhealthy { .. } => false,
        }
    }

    /// When it can be used again, if not now.
    #[must_use]
    pub fn closed_until(&self, now: Timestamp) -> Option<Timestamp> {
        match &self.state {
            AccountState::Limited { until, .. } | AccountState::Unhealthy { until, .. } => {
                Some(*until).filter(|until| *until > now)
            }
            AccountState::Open => None,
        }
    }

    /// Why it can't be used now, as a part of a sentence.
    #[must_use]
    pub fn why(&self, now: Timestamp) -> Option<String> {
        self.closed_until(now)?;
        match &self.state {
            AccountState::Limited { until, reason } => Some(format!("rate limit until {until:.0}: {reason}")),
            AccountState::Unhealthy { reason, .. } => Some(format!("not signed in: {reason}")),
            AccountState::Open => None,
        }
    }
}

/// The way on for a task whose agent can't go on for its account's sake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Another agent of the department could do it, and the task doesn't ask for this one.
    pub others: bool,
    /// The task asks for this agent.
    pub preferred: bool,
    /// When the account opens.
    pub opens: Timestamp,
    /// That it isn't signed in was known before: another task has failed of it, and said so.
    pub known: bool,
}

/// The end of an attempt whose agent had trouble with its account.
#[must_use]
pub fn follow(agent: &AgentName, trouble: &Trouble, way: Way, now: Timestamp) -> Conclusion {
    if trouble.kind == TroubleKind::Authentication && !way.others && !way.known {
        return Conclusion::Failed(trouble.failure());
    }
    let reason = format!("{agent}: {}", trouble.message);
    // Without a preference it waits in its queue, where its department takes it up as soon as any of its agents can work.
    let until = (way.preferred && !way.others).then(|| wait(way.opens, now));
    Conclusion::Deferred { reason, until }
}

/// Until when a task waits that asks for an agent whose account opens then.
#[must_use]
pub fn wait(opens: Timestamp, now: Timestamp) -> Timestamp {
    opens.min(now.checked_add(LOOK_AGAIN).unwrap_or(opens))
}

#[cfg(test)]
mod tests;
