//! Times at which something comes due, and the latest of them that can be kept.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de};

/// The latest time at which something can come due: 2262-01-01T00:00:00Z.
///
/// The broker counts a schedule's time in nanoseconds, and 64 bits of them end on 2262-04-11. A later one would have passed
/// already, as the broker sees it, and what waits for it would run at once.
pub const LATEST: Timestamp = Timestamp::constant(9_214_646_400, 0);

/// The time this long after `now`, and [`LATEST`] where that is sooner.
#[must_use]
pub fn after(now: Timestamp, delay: Duration) -> Timestamp {
    now.checked_add(delay).unwrap_or(LATEST).min(LATEST)
}

/// A text that is not a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a time: write it with date and offset, such as 2027-01-31T08:00:00Z; the latest is {LATEST}")]
pub struct NotATime(String);

/// Reads a time as in RFC 3339.
///
/// # Errors
/// When the text is none, or is one beyond those that can be counted.
pub fn parse(text: &str) -> Result<Timestamp, NotATime> {
    text.parse().map_err(|_| NotATime(text.chars().take(SHOWN).collect()))
}

/// Characters of a wrong text that are shown.
const SHOWN: usize = 64;

/// For a field whose time somebody has written by hand.
///
/// # Errors
/// As [`parse`], and when it is no text.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.as_deref().map(parse).transpose().map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_far_is_late_and_never_soon() {
        let now: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        assert_eq!(LATEST.to_string(), "2262-01-01T00:00:00Z");
        assert_eq!(after(now, Duration::from_secs(60)).to_string(), "2026-11-29T12:01:00Z");
        for days in [86_000_u64, 100_000, 3_650_000, u64::MAX / 86_400] {
            assert_eq!(after(now, Duration::from_secs(days * 86_400)), LATEST, "{days} days");
        }
        assert_eq!(after(now, Duration::MAX), LATEST);
        assert!(i64::try_from(LATEST.as_nanosecond()).is_ok());
    }

    #[test]
    fn what_is_no_time_is_told_in_one_sentence() {
        assert_eq!(parse("2027-01-31T08:00:00+01:00").unwrap().to_string(), "2027-01-31T07:00:00Z");
        for text in ["9999-12-31T23:59:59Z", "+010000-01-01T00:00:00Z", "tomorrow", "2027-01-31", "1800000000", ""] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(&format!("\"{text}\" is not a time")) && error.contains("2262-01-01"), "{error}");
        }
        assert!(parse(&"9".repeat(1000)).unwrap_err().to_string().len() < 250);
    }
}
