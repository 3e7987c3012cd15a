use super::*;
use crate::event::FailureKind;
use crate::run::Reset;

fn name() -> AgentName {
    AgentName::new("codex").unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000_000 + seconds).unwrap()
}

fn limit(reset: Option<Reset>) -> Trouble {
    Trouble { reset, ..Trouble::new(TroubleKind::RateLimit, "too many requests") }
}

fn closed(record: &AccountRecord, now: i64) -> Option<i64> {
    record.closed_until(at(now)).map(|until| until.as_second() - 1_000_000_000)
}

#[test]
fn a_limit_closes_the_account_until_its_reset() {
    let told = AccountRecord::after(None, &name(), &limit(Some(Reset::In(Duration::from_secs(90)))), at(0)).unwrap();
    assert_eq!((closed(&told, 0), closed(&told, 89), closed(&told, 90)), (Some(90), Some(90), None));
    assert_eq!(told.why(at(1)).unwrap(), "rate limit until 2001-09-09T01:48:10Z: too many requests");
    let past = AccountRecord::after(None, &name(), &limit(Some(Reset::At(at(-50)))), at(0)).unwrap();
    assert_eq!(closed(&past, 0), Some(1), "never asked again at once");
    let far = AccountRecord::after(None, &name(), &limit(Some(Reset::At(at(1 << 30)))), at(0)).unwrap();
    assert_eq!(closed(&far, 0), Some(8 * 86_400));
}

#[test]
fn a_limit_without_a_reset_is_waited_out_for_longer_each_time() {
    let mut before = None;
    let mut waits = Vec::new();
    let mut now = 0;
    for _ in 0..8 {
        let record = AccountRecord::after(before.as_ref(), &name(), &limit(None), at(now)).unwrap();
        let until = closed(&record, now).unwrap();
        waits.push((until - now) / 60);
        now = until;
        before = Some(record);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    let later = AccountRecord::after(before.as_ref(), &name(), &limit(None), at(now + 3601)).unwrap();
    assert_eq!(closed(&later, now + 3601), Some(now + 3661), "long over, and so forgotten");
}

#[test]
fn not_signed_in_is_tried_again_and_other_trouble_says_nothing_of_the_account() {
    let auth = Trouble::new(TroubleKind::Authentication, "401: run `codex login`");
    let record = AccountRecord::after(None, &name(), &auth, at(0)).unwrap();
    assert_eq!(closed(&record, 0), Some(900));
    assert!(record.why(at(0)).unwrap().contains("run `codex login`"));
    for kind in [TroubleKind::Model, TroubleKind::Limit, TroubleKind::Protocol, TroubleKind::Crash] {
        assert_eq!(AccountRecord::after(None, &name(), &Trouble::new(kind, ""), at(0)), None);
    }
}

#[test]
fn how_a_task_goes_on() {
    let auth = Trouble::new(TroubleKind::Authentication, "401");
    let way = |others, preferred| Way { others, preferred, opens: at(3600) };
    let deferred =
        |until: Option<i64>, why: &str| Conclusion::Deferred { reason: format!("codex: {why}"), until: until.map(at) };
    let check =
        |trouble: &Trouble, way, expected: Conclusion| assert_eq!(follow(&name(), trouble, way, at(0)), expected);
    check(&limit(None), way(true, false), deferred(None, "too many requests"));
    check(&limit(None), way(false, false), deferred(None, "too many requests"));
    check(&limit(None), way(false, true), deferred(Some(300), "too many requests"));
    check(&auth, way(true, false), deferred(None, "401"));
    let Conclusion::Failed(failure) = follow(&name(), &auth, way(false, false), at(0)) else { panic!("it goes on") };
    assert_eq!(failure.kind, FailureKind::Authentication);
}
