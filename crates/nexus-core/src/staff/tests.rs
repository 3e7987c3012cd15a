//! A history that goes on after a restart, whatever the clock of the wall has done meanwhile.

use proptest::prelude::*;

use super::*;
use crate::restart::RestartStrategy;
use crate::units::Span;

const WINDOW: u64 = 60;

fn policy(max_restarts: u32) -> RestartPolicy {
    RestartPolicy { strategy: RestartStrategy::OneForOne, max_restarts, within: Span::from_secs(WINDOW) }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn record() -> StaffRecord {
    let (node, department) = (NodeId::new("n1").unwrap(), DepartmentName::new("qa").unwrap());
    StaffRecord::new(node, department, Uuid::nil(), at(0))
}

/// Fails at these seconds, all of them restarted.
fn after(seconds: &[i64], policy: &RestartPolicy) -> StaffRecord {
    let mut record = record();
    for second in seconds {
        record.failed(policy, Verdict::RestartAfter(Duration::ZERO), "boom", Uuid::nil(), at(*second));
    }
    record
}

/// The verdict on the next failure, `later` seconds after a restart at the wall's second `second`.
fn verdict(record: &StaffRecord, policy: &RestartPolicy, second: i64, later: u64) -> Verdict {
    let now = Duration::from_secs(1000);
    let mut history = record.history(policy, at(second), now);
    assert_eq!(history.total(), 0);
    history.record(policy, now + Duration::from_secs(later))
}

#[test]
fn what_happened_before_a_restart_counts_on_while_it_is_young() {
    let policy = policy(2);
    let record = after(&[0, 50], &policy);
    assert_eq!(verdict(&record, &policy, 55, 0), Verdict::Escalate);
    assert!(matches!(verdict(&record, &policy, 55, 6), Verdict::RestartAfter(_)), "the first is 61 s old");
    assert!(matches!(verdict(&record, &policy, 70, 0), Verdict::RestartAfter(_)));
    assert_eq!(verdict(&record, &policy, 111, 0), Verdict::RestartAfter(Duration::ZERO), "both are too old");
}

#[test]
fn a_clock_that_jumps_neither_stops_nor_lets_go() {
    let policy = policy(2);
    let record = after(&[0, 50], &policy);
    // Put back by a day: both count as new, for one window and no longer.
    assert_eq!(verdict(&record, &policy, -86_400, WINDOW), Verdict::Escalate);
    assert_eq!(verdict(&record, &policy, -86_400, WINDOW + 1), Verdict::RestartAfter(Duration::ZERO));
    // Put forward by a day.
    assert_eq!(verdict(&record, &policy, 86_400, 0), Verdict::RestartAfter(Duration::ZERO));
    let mut stopped = record;
    stopped.failed(&policy, Verdict::Escalate, "boom", Uuid::nil(), at(86_400));
    assert_eq!(stopped.stopped.as_deref(), Some("failed too often: boom"));
}

#[test]
fn a_new_chance_forgets_and_keeps_the_names() {
    let mut record = after(&[0, 1], &policy(2));
    record.failed(&policy(2), Verdict::Escalate, "boom", Uuid::nil(), at(2));
    assert_eq!((record.total, record.is_clean()), (3, false));
    record.lift(Uuid::max(), at(3));
    assert_eq!((record.total, record.is_clean(), record.fingerprint), (0, true, Uuid::max()));
    assert_eq!((record.node.as_str(), record.department.as_str(), record.at), ("n1", "qa", at(3)));
}

#[test]
fn another_policy_or_agent_is_another_fingerprint() {
    let (policy, mut agents) = (Department::default(), BTreeMap::new());
    let first = fingerprint(&policy, &agents);
    assert_eq!(first, fingerprint(&policy, &agents));
    assert_ne!(first, fingerprint(&Department { workers: 2, ..policy.clone() }, &agents));
    agents.insert(AgentName::new("shell").unwrap(), Arc::new(AgentSpec::shell()));
    assert_ne!(first, fingerprint(&policy, &agents));
}

proptest! {
    /// However often the company is restarted between failures, while the clock tells the truth no window ever holds
    /// more restarts than the policy allows; and a record stays small.
    #[test]
    fn restarts_of_the_company_change_nothing(
        steps in prop::collection::vec((0_i64..40, any::<bool>()), 1..100), max in 0_u32..6,
    ) {
        let (policy, mut record) = (policy(max), record());
        let (mut second, mut restarts) = (0, Vec::new());
        let mut clock = (0, record.history(&policy, at(0), Duration::from_secs(WINDOW)));
        for (step, restarted) in steps {
            second += step;
            if restarted {
                clock = (second, record.history(&policy, at(second), Duration::from_secs(WINDOW)));
            }
            let (began, history) = &mut clock;
            let now = Duration::from_secs(WINDOW + (second - *began).unsigned_abs());
            let verdict = history.record(&policy, now);
            record.failed(&policy, verdict, "boom", Uuid::nil(), at(second));
            prop_assert!(record.failures.len() <= MAX_FAILURES);
            if verdict == Verdict::Escalate {
                prop_assert!(record.stopped.is_some());
                record.lift(Uuid::nil(), at(second));
                clock = (second, record.history(&policy, at(second), Duration::from_secs(WINDOW)));
                restarts.clear();
                continue;
            }
            restarts.push(second);
            let recent = restarts.iter().filter(|at| second - **at <= WINDOW.cast_signed()).count();
            prop_assert!(recent <= max as usize, "{restarts:?}");
        }
    }
}
