//! Every last event a delivery can meet, and what is done with it then.

use super::samples::{self, entries, entry, event, events, is_open, started};
use super::*;
use crate::event::{Failure, FailureKind, Hold, Outcome};
use jiff::Timestamp;
use proptest::prelude::*;

/// The entry at sequence 8, which came after the event at 7; the first time, and nobody has it.
const FRESH: Arrival = Arrival { seq: 8, redelivered: false, again: false, ours: false, held: false, waited: false };
/// The entry that the attempt on the ledger came from, whose lease has lapsed.
const LAPSED: Arrival = Arrival { seq: 5, redelivered: true, again: true, ours: false, held: false, waited: true };

fn check(entry: &QueueEntry, arrival: Arrival, attempt: u32, what: What, expected: Turn) {
    let event = event(attempt, what);
    assert_eq!(turn(entry, arrival, Some((&event, 7))), expected, "{arrival:?} after {event:?}");
}

fn retry() -> What {
    let failure = Failure { kind: FailureKind::Exit, message: String::new() };
    What::AttemptFailed { failure, outcome: Outcome::default(), retry_at: Timestamp::UNIX_EPOCH }
}

#[test]
fn what_waits_starts_behind_the_event_that_queued_it() {
    let start = Turn::Start { expect: 7 };
    assert_eq!(turn(&entry(1), FRESH, None), Turn::Start { expect: 0 });
    check(&entry(2), FRESH, 2, What::Interrupted { reason: String::new(), run: None }, start);
    check(&entry(2), FRESH, 1, retry(), start);
    check(&entry(1), FRESH, 0, What::Retried { reason: String::new() }, start);
    // Given back, for want of an agent say.
    check(&entry(2), Arrival { redelivered: true, ..FRESH }, 1, retry(), start);
    // Another node's CEO has put back what this node has not let go of.
    let held = Arrival { held: true, ..FRESH };
    check(&entry(2), held, 2, What::Interrupted { reason: String::new(), run: None }, Turn::Later(Wait::Holder));
}

#[test]
fn what_is_left_over_is_dropped() {
    let old = Arrival { seq: 5, redelivered: true, ..FRESH };
    for what in
        [What::Interrupted { reason: String::new(), run: None }, retry(), What::Retried { reason: String::new() }]
    {
        let next = entry(if matches!(what, What::Interrupted { .. }) { 1 } else { 2 });
        check(&next, old, 1, what, Turn::Drop);
    }
    check(&entry(1), FRESH, 1, retry(), Turn::Drop);
    // Scheduled before the task was cancelled and retried by hand, and due only now.
    check(&entry(2), FRESH, 0, What::Retried { reason: String::new() }, Turn::Drop);
    check(&entry(2), FRESH, 1, What::Interrupted { reason: String::new(), run: None }, Turn::Drop);
    check(&entry(1), FRESH, 1, What::Completed { outcome: Outcome::default() }, Turn::Drop);
    check(&entry(1), LAPSED, 1, What::Cancelled { reason: String::new(), outcome: None }, Turn::Drop);
}

#[test]
fn an_attempt_is_revived_when_its_own_delivery_comes_again_and_nobody_here_holds_it() {
    let of = |delivery: &str| Some(Hold { node: samples::node(), delivery: delivery.into() });
    let asked = |of| What::CancelRequested { reason: String::new(), of };
    for what in [started("d"), asked(of("d"))] {
        check(&entry(1), LAPSED, 1, what.clone(), Turn::Revive);
        check(&entry(1), Arrival { held: true, ..LAPSED }, 1, what.clone(), Turn::Later(Wait::Lease));
        check(&entry(1), Arrival { again: false, ..LAPSED }, 1, what.clone(), Turn::Drop);
        check(&entry(1), FRESH, 1, what.clone(), Turn::Drop);
        // A broker that was killed brings it early, or as if for the first time.
        let early = Arrival { waited: false, ..LAPSED };
        check(&entry(1), early, 1, what.clone(), Turn::Later(Wait::Lease));
        check(&entry(1), Arrival { redelivered: false, ..early }, 1, what.clone(), Turn::Later(Wait::Lease));
        check(&entry(1), Arrival { ours: true, ..early }, 1, what, Turn::Revive);
    }
    // From before the event named its attempt.
    check(&entry(1), Arrival { again: false, ..LAPSED }, 1, asked(None), Turn::Revive);
    check(&entry(1), Arrival { held: true, ..LAPSED }, 1, asked(None), Turn::Later(Wait::Lease));
    check(&entry(1), FRESH, 1, asked(None), Turn::Later(Wait::Lease));
}

#[test]
fn what_follows_an_attempt_that_goes_on_at_once_is_queued_by_whoever_is_brought_its_entry_again() {
    check(&entry(1), LAPSED, 1, retry(), Turn::QueueNext);
    // Whoever wrote that it failed is about to.
    check(&entry(1), Arrival { held: true, ..LAPSED }, 1, retry(), Turn::Later(Wait::Lease));
    // Of an earlier attempt; and what follows waits for its time on a schedule, which was written with the event.
    check(&entry(1), LAPSED, 2, retry(), Turn::Drop);
    let What::AttemptFailed { failure, outcome, .. } = retry() else { unreachable!() };
    let retry_at = Timestamp::from_second(1).unwrap();
    check(&entry(1), LAPSED, 1, What::AttemptFailed { failure, outcome, retry_at }, Turn::Drop);
}

#[test]
fn an_entry_tells_what_it_follows() {
    let behind = QueueEntry { after: Some(7), ..entry(2) };
    assert_eq!(
        [expected(&entry(1), FRESH), expected(&behind, FRESH), expected(&entry(2), FRESH)],
        [Some(0), Some(7), None]
    );
    let redelivered = Arrival { redelivered: true, ..FRESH };
    assert_eq!([expected(&entry(1), redelivered), expected(&behind, redelivered)], [None, None]);
    assert_eq!(expected(&QueueEntry { interruptions: 1, ..entry(1) }, FRESH), None);
}

proptest! {
    /// Whatever comes: nothing starts over an end or over an open attempt, or beside what this node holds; only an
    /// open attempt that nobody here holds is revived, and only after a whole lease or where its holder would be; a
    /// start expects the last event.
    #[test]
    fn never_starts_or_revives_what_it_may_not(
        entry in entries(), event in events(),
        (seq, last) in (1_u64..9, 1_u64..9),
        (redelivered, again, ours, held, waited) in any::<(bool, bool, bool, bool, bool)>(),
    ) {
        let arrival = Arrival { seq, redelivered, again, ours, held, waited };
        let turn = turn(&entry, arrival, Some((&event, last)));
        match turn {
            Turn::Start { expect } => {
                prop_assert!(expect == last && seq >= last && !held);
                prop_assert!(!event.what.is_terminal() && !is_open(&event));
            }
            Turn::Revive => prop_assert!(is_open(&event) && !held && (waited || ours)),
            Turn::QueueNext => {
                let failed = matches!(event.what, What::AttemptFailed { .. });
                prop_assert!(failed && !held && seq < last && entry.attempt == event.attempt);
            }
            Turn::Later(_) => prop_assert!(!event.what.is_terminal()),
            Turn::Drop => {}
        }
        prop_assert!(!event.what.is_terminal() || turn == Turn::Drop);
    }

    /// The entry that an event queues is never dropped for that event: no task is lost between the two.
    #[test]
    fn the_next_entry_is_not_dropped(entry in entries(), redelivered: bool, held: bool) {
        let now = Timestamp::UNIX_EPOCH;
        let arrival = Arrival { redelivered, held, ..FRESH };
        let last = event(entry.attempt, What::Interrupted { reason: String::new(), run: None });
        prop_assert_ne!(turn(&crate::revival::again(&entry, now), arrival, Some((&last, 7))), Turn::Drop);
        let last = event(entry.attempt, retry());
        prop_assert_ne!(turn(&crate::revival::once_more(&entry, now), arrival, Some((&last, 7))), Turn::Drop);
    }
}
