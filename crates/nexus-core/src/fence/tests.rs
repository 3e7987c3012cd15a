//! A holder knows its own cancel from everybody else's.

use super::*;
use crate::event::{Hold, Outcome};
use crate::turn::samples;
use proptest::prelude::*;

#[test]
fn only_a_cancel_of_the_very_attempt_leaves_the_claim() {
    let asked = |of: Option<&str>| {
        let of = of.map(|delivery| Hold { node: samples::node(), delivery: delivery.to_owned() });
        samples::event(1, What::CancelRequested { reason: "u".into(), of })
    };
    let check = |event: &Event, seq, expected: Option<Fence>| {
        assert_eq!(fence(5, "mine", Some((event, seq))), expected, "{event:?}");
    };
    check(&samples::event(1, samples::started("mine")), 5, None);
    check(&asked(Some("mine")), 7, Some(Fence::CancelRequested("u".into())));
    // The same attempt, by its number, that another worker started again after this one had been given up.
    check(&asked(Some("another's")), 9, Some(Fence::Lost));
    check(&asked(None), 7, Some(Fence::Lost));
    let progressed = |delivery: &str| {
        let of = Hold { node: samples::node(), delivery: delivery.to_owned() };
        let agent = crate::id::AgentName::new("codex").unwrap();
        samples::event(1, What::Progressed { of, agent, run: crate::run::RunReport::default(), ran_ms: 0 })
    };
    check(&progressed("mine"), 7, Some(Fence::Own));
    check(&progressed("another's"), 7, Some(Fence::Lost));
    check(&samples::event(1, What::Completed { outcome: Outcome::default() }), 7, Some(Fence::Lost));
    assert_eq!(fence(5, "mine", None), Some(Fence::Lost));
}

proptest! {
    /// A claim holds when its own event is the last, or a cancel that names its delivery; never otherwise.
    #[test]
    fn nothing_else_lets_a_holder_write(event in samples::events(), own in 1_u64..9, seq in 1_u64..9) {
        let lost = fence(own, "mine", Some((&event, seq))) == Some(Fence::Lost);
        let goes_on = matches!(event.what, What::CancelRequested { .. } | What::Progressed { .. });
        let mine = goes_on && event.what.delivery() == Some("mine");
        prop_assert_eq!(lost, seq != own && !mine);
    }
}
