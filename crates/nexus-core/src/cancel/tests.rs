//! Every state of a task, and what a cancel does in it.

use super::*;
use crate::event::{Failure, FailureKind, Outcome};
use crate::turn::samples;
use jiff::Timestamp;
use proptest::prelude::*;

#[test]
fn each_state_has_its_step() {
    let failure = Failure { kind: FailureKind::Exit, message: String::new() };
    let outcome = Outcome::default;
    let of = || Hold { node: samples::node(), delivery: "d".into() };
    let retry_at = Timestamp::UNIX_EPOCH;
    let waits = |attempt| Step::Cancel { attempt, expect: 7 };
    let reason = String::new;
    let table = [
        (2, What::Completed { outcome: outcome() }, Step::Ended(Status::Completed)),
        (2, What::Failed { failure: failure.clone(), outcome: outcome() }, Step::Ended(Status::Failed)),
        (2, What::Cancelled { reason: reason(), outcome: None }, Step::Ended(Status::Cancelled)),
        (2, samples::started("d"), Step::Ask { of: of(), attempt: 2, expect: 7 }),
        (2, What::CancelRequested { reason: reason(), of: Some(of()) }, Step::Tell { of: Some(of()) }),
        (2, What::CancelRequested { reason: reason(), of: None }, Step::Tell { of: None }),
        (2, What::Interrupted { reason: reason(), run: None }, waits(2)),
        (2, What::AttemptFailed { failure, outcome: outcome(), retry_at }, waits(2)),
        (0, What::Retried { reason: reason() }, waits(0)),
    ];
    for (attempt, what, expected) in table {
        let event = samples::event(attempt, what);
        assert_eq!(step(Some((&event, 7))), expected, "{event:?}");
    }
    assert_eq!(step(None), Step::Cancel { attempt: 0, expect: 0 });
}

proptest! {
    /// It is said at once only where no attempt is open, and what has ended is left as it is.
    #[test]
    fn is_never_said_of_an_open_attempt(event in samples::events(), seq in 1_u64..9) {
        match step(Some((&event, seq))) {
            Step::Ended(_) => prop_assert!(event.what.is_terminal()),
            Step::Cancel { expect, .. } => {
                prop_assert!(!event.what.is_terminal() && !samples::is_open(&event) && expect == seq);
            }
            Step::Ask { .. } | Step::Tell { .. } => prop_assert!(samples::is_open(&event)),
        }
    }
}
