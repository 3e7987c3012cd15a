//! Times at which something comes due, and the latest of them that can be kept.

use std::time::Duration;

use jiff::Timestamp;

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
}
