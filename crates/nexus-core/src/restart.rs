//! Restart intensity, as in OTP: how often a child may be restarted before its supervisor gives up.

use std::collections::VecDeque;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Span;

/// `[restart]`: more than `max_restarts` within `within` and the supervisor itself gives up (it escalates).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestartPolicy {
    /// The children that are restarted when one fails.
    #[serde(default)]
    pub strategy: RestartStrategy,
    /// The restarts that are allowed within that time; one more, and it gives up.
    #[serde(default = "default_max_restarts")]
    pub max_restarts: u32,
    /// The time in which restarts are counted.
    #[serde(default = "default_within")]
    pub within: Span,
}

/// Who is restarted when one child fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RestartStrategy {
    /// The child that failed, and no other.
    #[default]
    OneForOne,
}

const fn default_max_restarts() -> u32 {
    5
}

const fn default_within() -> Span {
    Span::from_secs(60)
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self { strategy: RestartStrategy::default(), max_restarts: default_max_restarts(), within: default_within() }
    }
}

/// A supervisor's decision about a child that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Restart it after this delay.
    RestartAfter(Duration),
    /// Too many restarts: fail upwards.
    Escalate,
}

/// The failures of one supervisor's children within its window. Memory is bounded by `max_restarts`.
#[derive(Clone, Debug, Default)]
pub struct RestartHistory {
    failures: VecDeque<Duration>,
    total: u64,
}

/// First delay of a second failure in the window; doubles up to [`MAX_DELAY`]. The first restart is immediate.
const BASE_DELAY: Duration = Duration::from_millis(50);
const MAX_DELAY: Duration = Duration::from_secs(5);

impl RestartHistory {
    /// Records a failure at `now` (monotonic, since any fixed origin) and says what to do about it.
    pub fn record(&mut self, policy: &RestartPolicy, now: Duration) -> Verdict {
        self.total += 1;
        let window = policy.within.get();
        while self.failures.front().is_some_and(|at| now.saturating_sub(*at) > window) {
            self.failures.pop_front();
        }
        if self.failures.len() >= policy.max_restarts as usize {
            return Verdict::Escalate;
        }
        let delay = match u32::try_from(self.failures.len()) {
            Ok(0) => Duration::ZERO,
            Ok(n) => BASE_DELAY.saturating_mul(1_u32.checked_shl(n - 1).unwrap_or(u32::MAX)).min(MAX_DELAY),
            Err(_) => MAX_DELAY,
        };
        self.failures.push_back(now);
        Verdict::RestartAfter(delay)
    }

    /// The history of restarts that happened these times ago, as seen at `now`; none of them counts as restarted since
    /// the supervisor began.
    #[must_use]
    pub fn restore(ages: impl IntoIterator<Item = Duration>, now: Duration) -> Self {
        let mut failures: Vec<_> = ages.into_iter().map(|age| now.saturating_sub(age)).collect();
        failures.sort_unstable();
        Self { failures: failures.into(), total: 0 }
    }

    /// All failures since the supervisor began.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy(max_restarts: u32, secs: u64) -> RestartPolicy {
        RestartPolicy { strategy: RestartStrategy::OneForOne, max_restarts, within: Span::from_secs(secs) }
    }

    #[test]
    fn restarts_are_immediate_then_slower_then_escalate() {
        let mut history = RestartHistory::default();
        let policy = policy(3, 60);
        let verdicts: Vec<_> = (0..4).map(|s| history.record(&policy, Duration::from_secs(s))).collect();
        let after = |ms| Verdict::RestartAfter(Duration::from_millis(ms));
        assert_eq!(verdicts, [after(0), after(50), after(100), Verdict::Escalate]);
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let mut history = RestartHistory::default();
        let policy = policy(1, 10);
        for round in 0..5 {
            let verdict = history.record(&policy, Duration::from_secs(round * 11));
            assert_eq!(verdict, Verdict::RestartAfter(Duration::ZERO), "round {round}");
        }
        assert_eq!(history.total(), 5);
    }

    #[test]
    fn none_allowed_means_the_first_failure_escalates() {
        assert_eq!(RestartHistory::default().record(&policy(0, 10), Duration::ZERO), Verdict::Escalate);
    }

    proptest! {
        /// Over any times, a window never holds more restarts than the policy allows.
        #[test]
        fn never_more_than_allowed_in_any_window(
            steps in prop::collection::vec(0_u64..20_000, 1..200), max in 0_u32..8, secs in 1_u64..60,
        ) {
            let (policy, mut history) = (policy(max, secs), RestartHistory::default());
            let (mut now, mut restarts) = (Duration::ZERO, Vec::new());
            for step in steps {
                now += Duration::from_millis(step);
                if let Verdict::RestartAfter(delay) = history.record(&policy, now) {
                    prop_assert!(delay <= MAX_DELAY);
                    restarts.push(now);
                }
                let recent = restarts.iter().filter(|at| now - **at <= policy.within.get()).count();
                prop_assert!(recent <= max as usize);
            }
        }
    }
}
