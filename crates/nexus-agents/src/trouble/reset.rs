//! When a rate limit is over, from the words of whoever set it.

use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use nexus_core::run::Reset;

use super::plain;

/// A duration follows.
const IN: &[&str] = &[
    "try again in ",
    "again after ",
    "retry in ",
    "retry after ",
    "retrying after ",
    "retrying in ",
    "reset after ",
    "reset in ",
    "resets in ",
    "available in ",
    "wait ",
    "\"retrydelay\":\"",
    "\"retrydelay\": \"",
];
/// Seconds follow, or a duration, or a time.
const SECONDS: &[&str] =
    &["retry-after", "retry_after", "resets_in_seconds", "reset_after_seconds", "retry-after-ms", "retry_after_ms"];
/// A time follows: seconds or milliseconds since 1970, or RFC 3339.
const AT: &[&str] = &[
    "limit reached|",
    "resets_at",
    "resetsat",
    "reset_at",
    "resetat",
    "resettime",
    "unified-reset",
    "ratelimit-reset",
    "resets at ",
    "reset at ",
    "try again at ",
    "try again after ",
    "until ",
    "resets ",
];

/// When it is over, if `text` says so. A time of day is understood if it is said to be UTC and `now` is known.
pub(crate) fn reset(text: &str, now: Option<Timestamp>) -> Option<Reset> {
    let text = plain(text);
    let after = |words: &'static [&'static str]| {
        let text = &text;
        words
            .iter()
            .flat_map(move |word| text.match_indices(word).map(|(at, found)| (found, &text[at + found.len()..])))
    };
    let time = after(AT).find_map(|(_, rest)| instant(rest).or_else(|| time_of_day(rest, now?)).map(Reset::At));
    let seconds = || {
        after(SECONDS).find_map(|(word, rest)| {
            let rest = value(rest);
            let (number, unit) = number(rest)?;
            let millis = word.ends_with("ms") || rest.starts_with("-ms");
            match duration(rest) {
                Some(duration) => Some(Reset::In(duration)),
                None if millis => in_seconds(number / 1000.0),
                // "2026-.." and words that only begin with a digit are no seconds.
                None if !unit.starts_with(['-', ':']) => in_seconds(number),
                None => None,
            }
        })
    };
    let delay = || after(IN).find_map(|(_, rest)| duration(value(rest)).map(Reset::In));
    time.or_else(seconds).or_else(delay)
}

/// The text after `key`, `"key": "` or `key=`.
fn value(rest: &str) -> &str {
    rest.trim_start_matches(['"', '\'', ':', '=', ' ', '|', '(', '[', '~'])
}

fn in_seconds(seconds: f64) -> Option<Reset> {
    Duration::try_from_secs_f64(seconds).ok().map(Reset::In)
}

/// A number and what follows it.
fn number(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    // "in 20." at the end of a sentence.
    let digits = text[..end].trim_end_matches('.');
    Some((digits.parse().ok()?, &text[digits.len()..]))
}

/// `20s`, `1.5 seconds`, `5h3m2s`, `1 day, 2 hours and 3 minutes`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (mut rest, mut total) = (text, None);
    while let Some((count, unit)) = number(rest) {
        let unit = unit.trim_start();
        let end = unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit.len());
        let seconds = match &unit[..end] {
            "ms" | "milliseconds" | "millisecond" => 0.001,
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86400.0,
            _ => break,
        };
        total = Some(total.unwrap_or(0.0) + count * seconds);
        rest = unit[end..].trim_start_matches([' ', ',']);
        rest = rest.strip_prefix("and ").unwrap_or(rest);
    }
    Duration::try_from_secs_f64(total?).ok()
}

/// Seconds or milliseconds since 1970, or RFC 3339.
fn instant(text: &str) -> Option<Timestamp> {
    let text = value(text);
    let end =
        text.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | ':' | '.' | '+')).unwrap_or(text.len());
    let word = text[..end].trim_end_matches(['.', ':', '-']);
    if let Ok(time) = word.parse() {
        return Some(time);
    }
    let whole = word.split('.').next()?;
    let count: i64 = whole.parse().ok()?;
    match whole.len() {
        10 => Timestamp::from_second(count).ok(),
        13 => Timestamp::from_millisecond(count).ok(),
        _ => None,
    }
}

/// `3pm (UTC)`, `7:52 PM (UTC)`: the next time that a clock in UTC shows this. Another zone's rules aren't known here, and a
/// time without one is the machine's, wherever that may be.
fn time_of_day(text: &str, now: Timestamp) -> Option<Timestamp> {
    let (hour, rest) = whole(text.trim_start())?;
    let (minute, rest) = match rest.strip_prefix(':') {
        Some(rest) => whole(rest)?,
        None => (0, rest),
    };
    let rest = rest.trim_start();
    let hour = match (hour, rest.get(..2)) {
        (12, Some("am")) => 0,
        (1..=11, Some("pm")) => hour + 12,
        (1..=12, Some("am" | "pm")) => hour,
        _ => return None,
    };
    let zone = rest.get(2..)?.trim_start();
    if !["(utc)", "utc", "(etc/utc)", "(gmt)"].iter().any(|utc| zone.starts_with(utc)) {
        return None;
    }
    let today = now.to_zoned(TimeZone::UTC);
    let time = today.date().to_datetime(Time::new(hour, minute, 0, 0).ok()?);
    let time = time.to_zoned(TimeZone::UTC).ok()?.timestamp();
    if time > now { Some(time) } else { time.checked_add(Span::new().hours(24)).ok() }
}

fn whole(text: &str) -> Option<(i8, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}
