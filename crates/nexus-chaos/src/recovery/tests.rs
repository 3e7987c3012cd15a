//! Times are told from what happened alone, and not at all where two faults fell into each other.

use nexus_core::id::DepartmentName;

use super::*;

const MS: u64 = 1_000_000;

fn node(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

fn mark(kind: Kind, task: &str, on: &str, ms: u64) -> Mark {
    Mark {
        kind,
        task: TaskId::from_idempotency_key(task),
        attempt: 1,
        department: DepartmentName::new("mill").unwrap(),
        node: node(on),
        pid: 1,
        began: ms,
        at: Moment(ms * MS),
        commit: None,
    }
}

fn incident(fault: Fault, begin: u64, ready: Option<u64>, end: u64) -> Incident {
    let moment = |ms| Moment(ms * MS);
    Incident { fault, node: Some(node("a")), begin: moment(begin), ready: ready.map(moment), end: moment(end) }
}

/// One task had ended before the fault, one runs, one of the other node's runs too; the second begins again later.
fn marks(again_on: &str, again: u64) -> Vec<Mark> {
    vec![
        mark(Kind::Start, "ended", "a", 1),
        mark(Kind::End(0), "ended", "a", 2),
        mark(Kind::Start, "held", "a", 3),
        mark(Kind::Start, "other", "b", 4),
        mark(Kind::Start, "new", "a", 1_150),
        mark(Kind::Start, "held", again_on, again),
    ]
}

#[test]
fn after_a_kill_it_counts_from_readiness() {
    let killed = [incident(Fault::KillNexus, 1_000, Some(1_100), 1_100)];
    let told = times(&killed, &marks("a", 1_300), &[]);
    assert_eq!(told, [(Recovery::NexusReady, vec![100]), (Recovery::FirstRequeued, vec![200])].into());
    let told = times(&killed, &marks("a", 1_090), &[]);
    assert_eq!(told[&Recovery::FirstRequeued], [0], "it ran before the company said that it was ready");
}

#[test]
fn a_takeover_counts_from_the_death_and_on_another_node() {
    let dead = [incident(Fault::NodeDead, 1_000, Some(9_000), 9_000)];
    assert_eq!(times(&dead, &marks("b", 3_500), &[]), [(Recovery::TakenOver, vec![2_500])].into());
    assert_eq!(times(&dead, &marks("a", 3_500), &[]), BTreeMap::new());
}

#[test]
fn a_submission_counts_that_was_asked_for_after_the_kill() {
    let killed = [incident(Fault::KillBroker, 1_000, None, 1_001)];
    let asks = [(Moment(900 * MS), Moment(1_050 * MS)), (Moment(1_010 * MS), Moment(1_400 * MS))];
    assert_eq!(times(&killed, &[], &asks), [(Recovery::SubmissionsAccepted, vec![400])].into());
}

#[test]
fn two_faults_at_a_time_tell_nothing() {
    let both =
        [incident(Fault::KillNexus, 1_000, Some(1_100), 1_100), incident(Fault::PauseBroker, 1_050, None, 1_500)];
    assert_eq!(times(&both, &marks("a", 1_300), &[]), BTreeMap::new());
}

#[test]
fn the_median_of_none_is_none() {
    assert_eq!(Times::of(Vec::new()), None);
    assert_eq!(Times::of(vec![3, 1, 2]), Some(Times { samples: 3, p50_ms: 2, max_ms: 3 }));
}
