//! The step after an attempt that failed: once more, later, or never.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attempt::{Conclusion, LOST};
use crate::event::{Failure, FailureKind};
use crate::task::QueueEntry;
use crate::units::Span;

/// `[retry]`: only failures count; an interruption that is not the agent's fault uses up no attempt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryPolicy {
    /// Attempts in all, the first included.
    #[serde(default = "default_max_attempts")]
    #[schemars(range(min = 1))]
    pub max_attempts: u32,
    /// The same of an agent that runs commands, such as `shell`, where that is another number: a failing test is an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub commands: Option<u32>,
    #[serde(default)]
    pub backoff: Backoff,
}

/// The wait before the next attempt: `initial`, times `factor` each time, at most `max`, give or take `jitter`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Backoff {
    /// The wait after the first failure.
    #[serde(default = "default_initial")]
    pub initial: Span,
    /// Each further wait is this many times as long.
    #[serde(default = "default_factor")]
    #[schemars(range(min = 1.0))]
    pub factor: f64,
    /// The longest wait.
    #[serde(default = "default_max")]
    pub max: Span,
    /// The share by which a wait may be longer or shorter, from 0 to 1.
    #[serde(default = "default_jitter")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub jitter: f64,
}

const fn default_max_attempts() -> u32 {
    1
}
const fn default_initial() -> Span {
    Span::from_secs(10)
}
const fn default_factor() -> f64 {
    2.0
}
const fn default_max() -> Span {
    Span::from_secs(300)
}
const fn default_jitter() -> f64 {
    0.2
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_attempts: default_max_attempts(), commands: None, backoff: Backoff::default() }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { initial: default_initial(), factor: default_factor(), max: default_max(), jitter: default_jitter() }
    }
}

impl Backoff {
    /// The delay after attempt `attempt` (from 1) failed; `random` is uniform in 0..1.
    #[must_use]
    pub fn delay(&self, attempt: u32, random: f64) -> Duration {
        let cap = self.max.get().as_secs_f64();
        let exponent = f64::from(attempt.saturating_sub(1));
        let base = (self.initial.get().as_secs_f64() * self.factor.max(1.0).powf(exponent)).min(cap);
        let spread = 1.0 + self.jitter.clamp(0.0, 1.0) * (2.0 * random - 1.0);
        Duration::try_from_secs_f64((base * spread).clamp(0.0, cap)).unwrap_or(self.max.get())
    }
}

/// Interruptions after which a task is failed: something about it, or about this machine, is not as it should be.
pub const MAX_INTERRUPTIONS: u32 = 20;

/// The record that is written when an attempt is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    Complete,
    Cancel(String),
    /// Failed for good.
    Fail(Failure),
    /// Failed, and tried again after this delay.
    RetryAfter(Failure, Duration),
    /// Back to the queue; no attempt is used up.
    Requeue(String),
    /// Back to the queue, at once or then; nothing is counted.
    Defer {
        reason: String,
        until: Option<jiff::Timestamp>,
    },
}

/// How an attempt that fails is followed by another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    pub policy: RetryPolicy,
    /// Its agent runs commands.
    pub commands: bool,
    /// Uniform in 0..1.
    pub random: f64,
}

impl Retry {
    /// The number of attempts that a task has: its own, or the department's.
    #[must_use]
    pub fn attempts(&self, entry: &QueueEntry) -> u32 {
        let commands = self.policy.commands.filter(|_| self.commands);
        entry.task.max_attempts.or(commands).unwrap_or(self.policy.max_attempts)
    }

    /// What its log says of an attempt that another one follows.
    #[must_use]
    pub fn notice(&self, conclusion: &Conclusion, entry: &QueueEntry) -> Option<String> {
        let Conclusion::Failed(_) = conclusion else { return None };
        let Next::RetryAfter(failure, delay) = next(conclusion.clone(), entry, self) else { return None };
        let why = failure.message.strip_prefix("the agent ended with ").unwrap_or(&failure.message);
        let (attempt, of) = (entry.attempt, self.attempts(entry));
        let tenths = delay.as_millis().div_ceil(100);
        let when = match (tenths / 10, tenths % 10) {
            (0, 0) => "at once".to_owned(),
            (seconds, 0) if seconds < 120 => format!("in {seconds} s"),
            (seconds, tenth) if seconds < 10 => format!("in {seconds}.{tenth} s"),
            (seconds, _) if seconds < 120 => format!("in {} s", seconds + 1),
            _ => format!("in {}", Span::from_secs(delay.as_secs())),
        };
        Some(format!("attempt {attempt} of {of} failed: {why}; again {when}"))
    }
}

/// Decides what follows an attempt.
#[must_use]
pub fn next(conclusion: Conclusion, entry: &QueueEntry, retry: &Retry) -> Next {
    match conclusion {
        Conclusion::Completed => Next::Complete,
        Conclusion::Cancelled(reason) => Next::Cancel(reason),
        Conclusion::Failed(failure) if entry.attempt < retry.attempts(entry) && may_help(failure.kind) => {
            Next::RetryAfter(failure, retry.policy.backoff.delay(entry.attempt, retry.random))
        }
        Conclusion::Failed(failure) => Next::Fail(failure),
        Conclusion::Interrupted(reason) => interrupted(reason, entry),
        Conclusion::Lost => interrupted(LOST.to_owned(), entry),
        Conclusion::Deferred { reason, until } => Next::Defer { reason, until },
        Conclusion::Blocked(trouble) => Next::Defer { reason: trouble.message, until: None },
    }
}

/// True if trying again may help. It doesn't against what this machine can't do, a budget that is used up, a login that is
/// missing, and a model that doesn't want to.
const fn may_help(kind: FailureKind) -> bool {
    !matches!(kind, FailureKind::Protection | FailureKind::Budget | FailureKind::Authentication | FailureKind::Refused)
}

/// The step after an interruption: back to the queue, but not for ever.
pub(crate) fn interrupted(reason: String, entry: &QueueEntry) -> Next {
    if entry.interruptions < MAX_INTERRUPTIONS {
        return Next::Requeue(reason);
    }
    let times = entry.interruptions.saturating_add(1);
    let message = format!("interrupted {times} times, the last time because {reason}");
    Next::Fail(Failure { kind: FailureKind::Interruptions, message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn doubles_up_to_its_maximum() {
        let backoff = Backoff::default();
        let secs: Vec<_> = (1..=7).map(|n| backoff.delay(n, 0.5).as_secs()).collect();
        assert_eq!(secs, [10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(backoff.delay(1, 0.0).as_secs(), 8);
        assert_eq!(backoff.delay(1, 1.0).as_secs(), 12);
    }

    #[test]
    fn a_command_has_its_own_number_of_attempts_and_its_log_says_what_follows() {
        let check = |commands: Option<u32>, runs_commands: bool, own: Option<u32>, expected: Option<&str>| {
            let mut entry = crate::turn::samples::entry(1);
            entry.task.max_attempts = own;
            let policy = RetryPolicy { max_attempts: 3, commands, ..RetryPolicy::default() };
            let retry = Retry { policy, commands: runs_commands, random: 0.5 };
            let failure = Failure { kind: FailureKind::Exit, message: "the agent ended with exit code 2".to_owned() };
            let notice = retry.notice(&Conclusion::Failed(failure), &entry);
            assert_eq!(notice.as_deref(), expected, "{commands:?} {runs_commands} {own:?}");
        };
        check(None, true, None, Some("attempt 1 of 3 failed: exit code 2; again in 10 s"));
        check(Some(1), false, None, Some("attempt 1 of 3 failed: exit code 2; again in 10 s"));
        check(Some(1), true, None, None);
        check(Some(1), true, Some(2), Some("attempt 1 of 2 failed: exit code 2; again in 10 s"));
    }

    proptest! {
        #[test]
        fn stays_within_its_bounds(attempt: u32, random in 0.0_f64..1.0, factor in 0.0_f64..1e9, jitter in 0.0_f64..2.0) {
            let backoff = Backoff { factor, jitter, ..Backoff::default() };
            prop_assert!(backoff.delay(attempt, random) <= backoff.max.get());
        }
    }

    proptest! {
        /// No attempt beyond the last is ever scheduled, an interruption never uses one up, and both end.
        #[test]
        fn never_more_attempts_than_allowed(
            entry in crate::turn::samples::entries(),
            (own, max) in (prop::option::of(1_u32..5), 1_u32..5),
            interrupt: bool,
            random in 0.0_f64..1.0,
        ) {
            let mut entry = entry;
            entry.task.max_attempts = own;
            let policy = RetryPolicy { max_attempts: max, ..RetryPolicy::default() };
            let retry = Retry { policy, commands: false, random };
            let failure = Failure { kind: FailureKind::Exit, message: String::new() };
            let conclusion = if interrupt { Conclusion::Lost } else { Conclusion::Failed(failure) };
            match next(conclusion, &entry, &retry) {
                Next::RetryAfter(..) => prop_assert!(!interrupt && entry.attempt < own.unwrap_or(max)),
                Next::Requeue(_) => prop_assert!(interrupt && entry.interruptions < MAX_INTERRUPTIONS),
                Next::Fail(failure) if interrupt => {
                    prop_assert!(entry.interruptions >= MAX_INTERRUPTIONS);
                    prop_assert_eq!(failure.kind, FailureKind::Interruptions);
                }
                Next::Fail(_) => prop_assert!(entry.attempt >= own.unwrap_or(max)),
                Next::Complete | Next::Cancel(_) | Next::Defer { .. } => prop_assert!(false, "it did not end well"),
            }
        }
    }
}
