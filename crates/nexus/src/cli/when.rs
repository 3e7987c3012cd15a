//! Times as people write them: absolute, local, or counted from now.

use jiff::civil::{DateTime, Time};
use jiff::{Span, Timestamp, ToSpan as _, Zoned};

/// A time to come: `+2h` and `10m` are counted from now.
pub(super) fn future(text: &str) -> Result<Timestamp, String> {
    parse(text, &Zoned::now(), Direction::Future)
}

/// A time that has been: `10m` is so long ago.
pub(super) fn past(text: &str) -> Result<Timestamp, String> {
    parse(text, &Zoned::now(), Direction::Past)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Past,
    Future,
}

fn parse(text: &str, now: &Zoned, direction: Direction) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    if let Ok(at) = text.parse::<Zoned>() {
        return Ok(at.timestamp());
    }
    let far = |error: jiff::Error| format!("that is too far away: {error}");
    // A time of the day, and none to count from now, though a span can be written so too.
    let is_clock = clock(text).is_some();
    if let Some(span) = text.strip_prefix('+').unwrap_or(text).parse::<Span>().ok().filter(|_| !is_clock) {
        if span.is_negative() {
            return Err("a time from now is written without a sign that turns it round, such as 2h".to_owned());
        }
        let at = if direction == Direction::Past { now.checked_sub(span) } else { now.checked_add(span) };
        return at.map(|at| at.timestamp()).map_err(far);
    }
    let local = |at: DateTime| at.to_zoned(now.time_zone().clone()).map(|at| at.timestamp()).map_err(far);
    let (day, rest) = match text.split_once(' ') {
        Some(("today", rest)) => (Some(now.date()), rest),
        Some(("tomorrow", rest)) => (Some(now.date().tomorrow().map_err(far)?), rest),
        Some(("yesterday", rest)) => (Some(now.date().yesterday().map_err(far)?), rest),
        _ => (None, text),
    };
    match (day, clock(rest)) {
        (Some(day), Some(time)) => return local(day.to_datetime(time)),
        // Without a day, the nearest one.
        (None, Some(time)) => {
            let at = local(now.date().to_datetime(time))?;
            let days = match direction {
                Direction::Future if at <= now.timestamp() => 1,
                Direction::Past if at > now.timestamp() => -1,
                _ => 0,
            };
            let day = now.date().checked_add(days.days()).map_err(far)?;
            return local(day.to_datetime(time));
        }
        _ => {}
    }
    if let Ok(at) = text.parse::<DateTime>() {
        return local(at);
    }
    let span = if direction == Direction::Past { "10m" } else { "+2h" };
    Err(format!("write it as {span}, \"18:00\", \"2026-12-24 18:00\" or 2026-12-24T18:00:00Z"))
}

/// `18:00`, and `9:00` too.
fn clock(text: &str) -> Option<Time> {
    let text = text.trim();
    let padded = if text.find(':') == Some(1) { format!("0{text}") } else { text.to_owned() };
    let is_clock = padded.contains(':') && padded.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    is_clock.then(|| padded.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    /// Five hours behind UTC: 10:00 there.
    fn now() -> Zoned {
        "2026-11-29T15:00:00Z".parse::<Timestamp>().unwrap().to_zoned(TimeZone::fixed(jiff::tz::offset(-5)))
    }

    #[track_caller]
    fn check(direction: Direction, cases: &[(&str, &str)]) {
        for (text, at) in cases {
            let parsed = parse(text, &now(), direction).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(parsed.to_string(), *at, "{text}");
        }
    }

    #[test]
    fn a_time_to_come() {
        check(
            Direction::Future,
            &[
                ("2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
                ("2027-01-01T00:00:00+01:00", "2026-12-31T23:00:00Z"),
                ("+2h", "2026-11-29T17:00:00Z"),
                ("10m", "2026-11-29T15:10:00Z"),
                ("1h 30m", "2026-11-29T16:30:00Z"),
                ("2 days", "2026-12-01T15:00:00Z"),
                ("18:00", "2026-11-29T23:00:00Z"),
                ("18:00:30", "2026-11-29T23:00:30Z"),
                ("9:00", "2026-11-30T14:00:00Z"),
                ("tomorrow 9:00", "2026-11-30T14:00:00Z"),
                ("today 23:30", "2026-11-30T04:30:00Z"),
                ("2026-12-24 18:00", "2026-12-24T23:00:00Z"),
                ("2026-12-24T18:00", "2026-12-24T23:00:00Z"),
                ("2026-12-24", "2026-12-24T05:00:00Z"),
            ],
        );
    }

    #[test]
    fn a_time_that_has_been() {
        check(
            Direction::Past,
            &[
                ("10m", "2026-11-29T14:50:00Z"),
                ("9:00", "2026-11-29T14:00:00Z"),
                ("18:00", "2026-11-28T23:00:00Z"),
                ("yesterday 18:00", "2026-11-28T23:00:00Z"),
            ],
        );
    }

    #[test]
    fn what_is_no_time_is_answered_with_some_that_are() {
        for text in ["soon", "", "25:00", "tomorrow", "10 monkeys", "9999999999h"] {
            let error = parse(text, &now(), Direction::Future).unwrap_err();
            assert!(error.contains("+2h") || error.contains("too far"), "{text}: {error}");
        }
        for (text, direction) in [("-2h", Direction::Future), ("+-2h", Direction::Future), ("-10m", Direction::Past)] {
            assert!(parse(text, &now(), direction).unwrap_err().contains("without a sign"), "{text}");
        }
    }
}
