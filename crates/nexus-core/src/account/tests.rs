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
fn a_limit_that_is_over_at_once_again_and_again_is_not_believed_for_ever() {
    let (mut before, mut now, mut waits) = (None, 0, Vec::new());
    for _ in 0..9 {
        let told = limit(Some(Reset::In(Duration::from_secs(1))));
        let record = AccountRecord::after(before.as_ref(), &name(), &told, at(now)).unwrap();
        let until = closed(&record, now).unwrap();
        waits.push(until - now);
        now = until;
        before = Some(record);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
}

#[test]
fn a_login_that_stays_away_is_tried_more_and_more_seldom() {
    let auth = Trouble::new(TroubleKind::Authentication, "401");
    let (mut before, mut now, mut waits) = (None, 0, Vec::new());
    for _ in 0..9 {
        let record = AccountRecord::after(before.as_ref(), &name(), &auth, at(now)).unwrap();
        let until = closed(&record, now).unwrap();
        waits.push((until - now) / 60);
        now = until;
        before = Some(record);
    }
    assert_eq!(waits, [15, 30, 60, 120, 240, 480, 960, 1440, 1440]);
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
    let way = |others, preferred| Way { others, preferred, opens: at(3600), known: false };
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
    // One task says it; the others that had begun wait.
    check(&auth, Way { known: true, ..way(false, false) }, deferred(None, "401"));
}

/// Twenty agents hit the same limit at once.
#[test]
fn what_changes_nothing_is_not_written() {
    let reset = |seconds| limit(Some(Reset::In(Duration::from_secs(seconds))));
    let auth = Trouble::new(TroubleKind::Authentication, "401");
    let struck = |before: &AccountRecord, trouble: &Trouble, now| {
        AccountRecord::struck(Some(before), &name(), trouble, at(now)).map(|record| closed(&record, now).unwrap())
    };
    let first = AccountRecord::struck(None, &name(), &reset(600), at(0)).unwrap();
    assert_eq!(closed(&first, 0), Some(600));
    for (trouble, now, expected) in [
        (reset(600), 0, None),
        (reset(600), 4, None),
        (reset(600), 6, Some(606)),
        // An earlier reset never takes the place of a later one, nor does one that isn't told.
        (reset(60), 1, None),
        (limit(None), 1, None),
        (auth.clone(), 1, Some(901)),
        // It was over; the second in a row.
        (reset(60), 600, Some(660)),
        (limit(None), 600, Some(720)),
    ] {
        assert_eq!(struck(&first, &trouble, now), expected, "{trouble:?} at {now}");
    }
    let signed_out = AccountRecord::struck(Some(&first), &name(), &auth, at(1)).unwrap();
    assert_eq!((struck(&signed_out, &auth, 2), struck(&signed_out, &reset(60), 2)), (None, None));
    assert_eq!(struck(&signed_out, &reset(1000), 2), Some(1002));
    // Of a long limit nothing is lost by a login that isn't accepted.
    let long = AccountRecord::struck(None, &name(), &reset(5000), at(0)).unwrap();
    assert_eq!(struck(&long, &auth, 1), Some(5000));
    // Twenty limits without a reset are one strike.
    let vague = AccountRecord::struck(None, &name(), &limit(None), at(0)).unwrap();
    assert_eq!(
        (vague.strikes, struck(&vague, &limit(None), 1), struck(&vague, &limit(None), 60)),
        (1, None, Some(180))
    );
}

#[test]
fn of_two_the_later_reset_holds_and_whoever_opens_it_opens_what_was_closed_before() {
    let limited = |until, now| AccountRecord {
        state: AccountState::Limited { until: at(until), reason: String::new() },
        ..AccountRecord::open(name(), at(now))
    };
    let open = |now| AccountRecord::open(name(), at(now));
    for (one, other, holds) in [
        (limited(600, 1), limited(60, 2), limited(600, 1)),
        (limited(600, 1), limited(600, 2), limited(600, 2)),
        (open(3), limited(600, 2), open(3)),
        (open(2), limited(600, 3), limited(600, 3)),
        (open(2), limited(600, 2), limited(600, 2)),
        (open(2), open(3), open(3)),
    ] {
        assert_eq!(one.clone().stronger(other.clone()), holds);
        assert_eq!(other.stronger(one), holds);
    }
}
