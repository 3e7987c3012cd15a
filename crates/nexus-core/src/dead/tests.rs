//! A history fits its bound, and what matters most of it stays.

use jiff::Timestamp;
use proptest::prelude::*;

use super::{forget_output, shorten, size};
use crate::event::{Event, Failure, FailureKind, Outcome, What};
use crate::id::{DepartmentName, TaskId};

/// Of each attempt what it wrote, in bytes; `None`: it was interrupted. The last one failed for good.
fn history(attempts: &[Option<usize>]) -> Vec<Event> {
    let id = TaskId::from_idempotency_key("x");
    let event = |n: usize, what| {
        let attempt = u32::try_from(n).unwrap();
        Event::new(id, DepartmentName::new("qa").unwrap(), attempt, Timestamp::UNIX_EPOCH, what)
    };
    let failure = || Failure { kind: FailureKind::Exit, message: "exit code 1".into() };
    let last = attempts.len() - 1;
    let each = attempts.iter().enumerate().map(|(n, wrote)| {
        let outcome = || Outcome { output: "x".repeat(wrote.unwrap_or(0)), ..Outcome::default() };
        let what = match wrote {
            _ if n == last => What::Failed { failure: failure(), outcome: outcome() },
            None => What::Interrupted { reason: "a test".into(), run: None },
            Some(_) => What::AttemptFailed { failure: failure(), outcome: outcome(), retry_at: Timestamp::UNIX_EPOCH },
        };
        event(n, what)
    });
    each.collect()
}

fn bytes(events: &[Event]) -> usize {
    events.iter().map(size).sum()
}

#[test]
fn what_fits_stays_as_it_is() {
    let events = history(&[Some(1000), None, Some(1000)]);
    let mut short = events.clone();
    assert_eq!(shorten(&mut short, bytes(&events)), 0);
    assert_eq!(short, events);
    assert_eq!(shorten(&mut Vec::new(), 0), 0);
}

#[test]
fn the_output_of_the_oldest_goes_first_then_the_oldest() {
    let events = history(&[Some(1000), Some(1000), Some(1000)]);
    let mut short = events.clone();
    assert_eq!(shorten(&mut short, bytes(&events) - 500), 0);
    let wrote = |event: &Event| match &event.what {
        What::AttemptFailed { outcome, .. } | What::Failed { outcome, .. } => (outcome.output.len(), outcome.truncated),
        _ => (0, false),
    };
    assert_eq!(short.iter().map(wrote).collect::<Vec<_>>(), [(0, true), (1000, false), (1000, false)]);
    assert_eq!(shorten(&mut short, 700), 1);
    assert_eq!(short.iter().map(wrote).collect::<Vec<_>>(), [(0, true), (0, true)]);
    assert_eq!(short[1].what.name(), "failed");
    assert_eq!(shorten(&mut short, 0), 1);
    assert_eq!(short.len(), 1, "the end stays, whatever its size");
}

proptest! {
    #[test]
    fn it_fits_or_is_the_bare_end(attempts in prop::collection::vec(prop::option::of(0_usize..4000), 1..30), limit in 0_usize..40_000) {
        let events = history(&attempts);
        let mut short = events.clone();
        let gone = usize::try_from(shorten(&mut short, limit)).unwrap();
        prop_assert_eq!(gone + short.len(), events.len());
        prop_assert!(bytes(&short) <= limit || short.len() == 1, "{} > {limit}", bytes(&short));
        // Nothing but output has changed, and no event goes while another still has its output.
        for (before, after) in events[gone..].iter().zip(&short) {
            let mut bare = before.clone();
            forget_output(&mut bare);
            prop_assert!(*after == bare || (after == before && gone == 0));
        }
        let mut again = short.clone();
        prop_assert_eq!(shorten(&mut again, limit), 0);
        prop_assert_eq!(again, short);
    }
}
