use super::*;

fn run(said: impl IntoIterator<Item = Said>) -> Run {
    let mut run = Run::new(None);
    said.into_iter().for_each(|said| run.hear(&said));
    run
}

fn text(text: &str) -> Said {
    Said::Text(text.to_owned())
}

#[test]
fn pieces_are_joined_and_the_last_message_is_kept() {
    let said = run([text("first"), Said::TextEnd, text("the "), text("last"), Said::TextEnd]);
    assert_eq!(said.message(), ("the last", false));
    let long = run(std::iter::repeat_n(text("é0123456789"), 10_000));
    let (message, cut) = long.message();
    assert!(cut && message.len() <= MESSAGE && message.ends_with("0123456789"), "{}", message.len());
}

#[test]
fn totals_are_absolute_and_never_shrink() {
    let tokens = |input, output| Said::Tokens(Tokens { input, output, cached: 0 });
    let said = run([tokens(10, 1), tokens(30, 4), tokens(30, 4), tokens(5, 1), Said::Turns(2), Said::Turns(1)]);
    assert_eq!((said.report().tokens.total(), said.report().turns), (34, 2));
    assert_eq!(run([Said::Cost(5), Said::Cost(3)]).report().cost_micros, Some(5));
}

#[test]
fn a_failure_beats_a_done_and_the_first_failure_counts() {
    let failed = |kind| Said::Ended(Ending::Failed(Trouble::new(kind, "x")));
    let kind = |run: &Run| match run.ending() {
        Some(Ending::Failed(trouble)) => Some(trouble.kind),
        _ => None,
    };
    let auth = TroubleKind::Authentication;
    assert_eq!(kind(&run([Said::Ended(Ending::Done), failed(auth)])), Some(auth));
    assert_eq!(kind(&run([failed(auth), Said::Ended(Ending::Done)])), Some(auth));
    assert_eq!(kind(&run([failed(auth), failed(TroubleKind::Crash)])), Some(auth));
    assert_eq!(run([]).ending(), None);
}

#[test]
fn when_a_limit_is_over_may_be_known_later() {
    let limit = |seconds: Option<u64>| {
        let reset = seconds.map(|seconds| Reset::In(Duration::from_secs(seconds)));
        Said::Ended(Ending::Failed(Trouble { reset, ..Trouble::new(TroubleKind::RateLimit, "x") }))
    };
    let reset = |run: Run| match run.ending() {
        Some(Ending::Failed(trouble)) => trouble.reset,
        _ => None,
    };
    assert_eq!(reset(run([limit(None), limit(Some(9))])), Some(Reset::In(Duration::from_secs(9))));
    assert_eq!(reset(run([limit(Some(9)), limit(None), limit(Some(7))])), Some(Reset::In(Duration::from_secs(9))));
}

#[test]
fn tools_are_counted_and_the_one_that_runs_is_shown() {
    let started = |id: &str| Said::ToolStarted { id: id.into(), name: "Bash".into(), about: "make\ntest".into() };
    let ended = |id: &str, ok| Said::ToolEnded { id: id.into(), ok, about: String::new() };
    let running = run([started("1"), ended("1", false), started("2"), ended("1", true)]);
    let report = running.report();
    assert_eq!((report.tool_calls, report.tool_failures, report.doing.as_deref()), (2, 1, Some("Bash make test")));
    assert_eq!(run([started("1"), ended("1", true)]).report().doing, None);
}

#[test]
fn warnings_are_bounded() {
    let said = run((0..100).flat_map(|n| std::iter::repeat_n(Said::Warning(format!("{n}{}", "x".repeat(1000))), 2)));
    let warnings = &said.report().warnings;
    assert_eq!(warnings.len(), WARNINGS);
    assert!(warnings[0].starts_with("92") && warnings.iter().all(|warning| warning.chars().count() == SHORT));
}

#[test]
fn what_begins_anew_has_not_resumed() {
    let mut run = Run::new(Some("old"));
    assert!(run.report().resumed && run.is_lost());
    run.hear(&Said::Anew("could not go on with old; a new one is begun".to_owned()));
    assert_eq!((run.report().resumed, run.report().session.as_deref()), (false, None));
    assert!(!run.is_lost(), "what fails now is a run of its own");
    run.hear(&Said::Session("new".to_owned()));
    assert_eq!((run.report().resumed, run.report().session.as_deref()), (false, Some("new")));
    assert_eq!(run.report().warnings.len(), 1);
}

#[test]
fn questions_are_open_until_they_are_answered_or_withdrawn() {
    let open = |name: &str| OpenQuestion { question: name.parse().unwrap(), what: format!("do {name}") };
    let [first, second, third] = ["k7m2q-1", "k7m2q-2", "k7m2q-3"].map(open);
    let asked = |question: &OpenQuestion| Said::Asked {
        question: Some(question.question),
        what: question.what.clone(),
        allowed: true,
    };
    let asks = [&first, &second, &third].map(|question| Said::Asks(question.clone()));
    let some = run(asks.into_iter().chain([asked(&second)]));
    assert_eq!(some.report().questions, [first.clone(), third]);
    let by_policy = Said::Asked { question: None, what: first.what.clone(), allowed: true };
    let none = run([Said::Asks(first.clone()), by_policy, Said::Withdrawn(first.question)]);
    assert_eq!(none.report().questions, []);
}
