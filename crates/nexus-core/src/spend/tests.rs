use proptest::prelude::*;

use super::*;
use crate::event::{Failure, FailureKind, Hold, Outcome};
use crate::run::Tokens;
use crate::turn::samples::{entry, node, started};
use crate::view::fold;

/// 23:59:50 of a day.
const LATE: i64 = 86_390;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn run(tokens: u64, turns: u32) -> RunReport {
    let tokens = Tokens { input: tokens, ..Tokens::default() };
    RunReport { tokens, turns, cost_micros: Some(tokens.total() * 3), ..RunReport::default() }
}

fn event(seconds: i64, what: What) -> Record {
    Record::Event(Event { at: at(seconds), ..crate::turn::samples::event(1, what) })
}

fn progressed(run: RunReport) -> What {
    let of = Hold { node: node(), delivery: String::new() };
    What::Progressed { of, agent: AgentName::new("shell").unwrap(), run, ran_ms: 0 }
}

fn outcome(run: Option<RunReport>, duration_ms: u64) -> Outcome {
    Outcome { run, duration_ms, ..Outcome::default() }
}

/// The spending of a ledger that begins with a task's entry, by day.
fn added(records: impl IntoIterator<Item = Record>) -> BTreeMap<Date, Spent> {
    let (mut view, mut sums) = (fold(None, &Record::Entry(entry(1))), BTreeMap::new());
    for record in records {
        let before = view.clone();
        view = fold(view, &record);
        if let Some(expense) = expense(before.as_ref(), view.as_ref(), &record) {
            let sum: &mut Spent = sums.entry(expense.purse.day).or_default();
            *sum = sum.plus(expense.spent);
        }
    }
    sums
}

fn check(records: impl IntoIterator<Item = Record>, expected: &[(i64, u64, u64, u64)]) {
    let expected = expected.iter().map(|(seconds, tokens, turns, wall_ms)| {
        let spent = Spent { tokens: *tokens, turns: *turns, cost_micros: tokens * 3, wall_ms: *wall_ms };
        (day(at(*seconds)), spent)
    });
    assert_eq!(added(records), expected.collect());
}

#[test]
fn an_attempt_is_counted_as_it_goes_on_and_on_the_day_when_it_is_told() {
    check(
        [
            event(LATE, started("a")),
            event(LATE + 5, progressed(run(100, 1))),
            event(LATE + 20, progressed(run(250, 2))),
            event(LATE + 30, What::Completed { outcome: outcome(Some(run(300, 3)), 30_000) }),
        ],
        &[(LATE, 100, 1, 0), (LATE + 20, 200, 2, 30_000)],
    );
}

#[test]
fn each_attempt_counts_for_itself_whichever_way_it_ends() {
    let failure = || Failure { kind: FailureKind::Exit, message: String::new() };
    let reason = String::new;
    check(
        [
            event(0, started("a")),
            event(7, progressed(run(10, 1))),
            // Its holder was gone, and found to be much later.
            event(4000, What::Interrupted { reason: reason(), run: Some(run(10, 1)) }),
            event(5000, started("b")),
            event(5002, What::Deferred { reason: reason(), until: None, run: Some(run(20, 2)) }),
            // Before it began once more.
            event(5003, What::Deferred { reason: reason(), until: None, run: None }),
            event(6000, started("c")),
            event(
                6001,
                What::AttemptFailed { failure: failure(), outcome: outcome(Some(run(40, 1)), 900), retry_at: at(0) },
            ),
            // A plain command says nothing but how long it took.
            event(7000, started("d")),
            event(7001, What::Failed { failure: failure(), outcome: outcome(None, 50) }),
            event(7002, What::Retried { reason: reason() }),
            event(8000, started("e")),
            event(8001, progressed(run(5, 1))),
            event(9000, What::Cancelled { reason: reason(), outcome: None }),
        ],
        &[(0, 75, 5, 7000 + 2000 + 900 + 50 + 1000)],
    );
}

#[test]
fn a_day_ends_at_midnight_utc() {
    assert_eq!(next_day(at(LATE)), at(86_400));
    assert_eq!(next_day(at(86_400)), at(2 * 86_400));
    assert_eq!(day(at(86_399)).to_string(), "1970-01-01");
}

#[test]
fn it_adds_up_by_department_and_by_agent() {
    let (qa, product) = (DepartmentName::new("qa").unwrap(), DepartmentName::new("product").unwrap());
    let (codex, claude) = (AgentName::new("codex").unwrap(), AgentName::new("claude").unwrap());
    let spent = |tokens| Spent { tokens, ..Spent::default() };
    let mut spending = Spending::default();
    for (department, agent, tokens) in [(&qa, &codex, 1), (&qa, &claude, 2), (&product, &codex, 4), (&qa, &codex, 8)] {
        spending.add(department.clone(), agent.clone(), spent(tokens));
    }
    assert_eq!(
        (spending.of(Some(&qa)), spending.of(Some(&product)), spending.of(None)),
        (spent(11), spent(4), spent(15))
    );
    assert_eq!((spending.by(&codex), spending.by(&claude)), (spent(13), spent(2)));
}

proptest! {
    /// Whatever is told of a run on its way, in whichever order and however often: what it comes to is its final report.
    #[test]
    fn what_is_told_on_the_way_is_never_counted_twice(
        attempts in prop::collection::vec((prop::collection::vec((0_u64..1000, 0_u32..10), 0..6), 0_u64..5000), 1..5),
    ) {
        let (mut records, mut expected) = (Vec::new(), Spent::default());
        for (told, wall_ms) in &attempts {
            records.push(event(0, started("a")));
            records.extend(told.iter().map(|(tokens, turns)| event(1, progressed(run(*tokens, *turns)))));
            // Told once more, from the start.
            records.extend(told.iter().map(|(tokens, turns)| event(1, progressed(run(*tokens, *turns)))));
            let most = |part: fn(&(u64, u32)) -> u64| told.iter().map(part).max().unwrap_or(0);
            let last = run(most(|(tokens, _)| *tokens), u32::try_from(most(|(_, turns)| (*turns).into())).unwrap());
            expected = expected.plus(Spent::of(&last, Duration::from_millis(*wall_ms)));
            let failure = Failure { kind: FailureKind::Exit, message: String::new() };
            let outcome = outcome(Some(last), *wall_ms);
            records.push(event(2, What::AttemptFailed { failure, outcome, retry_at: at(0) }));
        }
        let sum = added(records).into_values().fold(Spent::default(), Spent::plus);
        prop_assert_eq!(sum, expected);
    }
}
