//! Only an open attempt is revived, and not for ever.

use super::*;
use crate::event::{FailureKind, Hold};
use crate::retry::MAX_INTERRUPTIONS;
use crate::turn::samples;
use proptest::prelude::*;

fn interrupted(interruptions: u32) -> QueueEntry {
    QueueEntry { interruptions, ..samples::entry(2) }
}

#[test]
fn an_open_attempt_goes_back_to_the_queue_and_a_cancel_is_carried_out() {
    let now = Timestamp::from_second(9).unwrap();
    let started = samples::event(2, samples::started("d"));
    let revival = revive(&started, &interrupted(3), "its node died", now).unwrap();
    assert_eq!(revival.event.what, What::Interrupted { reason: "its node died".into(), run: None });
    assert_eq!(revival.entry, Some(QueueEntry { interruptions: 4, queued_at: now, ..samples::entry(2) }));
    // An entry that is left over from before a retry by hand lends its words, not its number.
    let left = QueueEntry { attempt: 5, ..interrupted(0) };
    assert_eq!(revive(&started, &left, "x", now).unwrap().entry.unwrap().attempt, 2);
    let of = Some(Hold { node: samples::node(), delivery: "d".into() });
    let asked = samples::event(2, What::CancelRequested { reason: "u".into(), of });
    let revival = revive(&asked, &interrupted(0), "its node died", now).unwrap();
    assert_eq!((revival.event.what, revival.entry), (What::Cancelled { reason: "u".into(), outcome: None }, None));
}

#[test]
fn a_task_that_takes_its_company_down_each_time_is_failed_in_the_end() {
    let started = samples::event(2, samples::started("d"));
    let revival = revive(&started, &interrupted(MAX_INTERRUPTIONS), "its node died", Timestamp::UNIX_EPOCH).unwrap();
    let What::Failed { failure, .. } = &revival.event.what else { panic!("{revival:?}") };
    assert_eq!(failure.kind, FailureKind::Interruptions);
    assert_eq!(failure.message, "interrupted 21 times, the last time because its node died");
    assert_eq!(revival.entry, None);
}

#[test]
fn what_was_not_queued_is_what_its_holder_would_have_queued() {
    let outcome = Outcome { duration_ms: 1_500, ..Outcome::default() };
    let failure = crate::event::Failure { kind: FailureKind::Exit, message: String::new() };
    let retry_at = Timestamp::UNIX_EPOCH;
    let failed = samples::event(3, What::AttemptFailed { failure, outcome, retry_at });
    let now = Timestamp::from_second(9).unwrap();
    let next = unqueued(&failed, 7, &interrupted(2), now).unwrap();
    assert_eq!((next.attempt, next.interruptions, next.after, next.queued_at), (4, 2, Some(7), now));
    assert_eq!(next.spent.wall_ms, 1_500);
    // Nothing that follows by itself says what it followed.
    assert_eq!([again(&next, now).after, later(&next, now).after, once_more(&next, now).after], [None; 3]);
    assert_eq!(unqueued(&samples::event(3, samples::started("d")), 7, &interrupted(2), now), None);
}

proptest! {
    /// Revived is what is open, and nothing else; a task is queued again exactly when it hasn't ended; a chain of
    /// revivals ends.
    #[test]
    fn follows_open_attempts_alone(event in samples::events(), mut entry in samples::entries()) {
        let revival = revive(&event, &entry, "r", Timestamp::UNIX_EPOCH);
        prop_assert_eq!(revival.is_some(), samples::is_open(&event));
        let mut last = event;
        let mut times = 0;
        while samples::is_open(&last) && let Some(revival) = revive(&last, &entry, "r", Timestamp::UNIX_EPOCH) {
            prop_assert_eq!(revival.entry.is_some(), !revival.event.what.is_terminal());
            prop_assert_eq!(revival.event.attempt, last.attempt);
            let Some(next) = revival.entry else { break };
            prop_assert_eq!(next.attempt, last.attempt);
            entry = next;
            times += 1;
            prop_assert!(times <= MAX_INTERRUPTIONS);
            last = samples::event(last.attempt, samples::started("d"));
        }
    }
}
