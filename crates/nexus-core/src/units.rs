//! Durations and sizes as people write them in configuration: `"90s"`, `"1h 30m"`, `"2GiB"`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::fmt::friendly::{Designator, Spacing, SpanPrinter};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A length of time, such as `"500ms"`, `"90s"`, `"1h 30m"` or `"30d"` (days of 24 hours). A number without a unit is
/// refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Span(Duration);

/// Why a duration or a size was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUnit {
    #[error("`{0}` is not a duration: write a number with a unit, such as \"90s\", \"30m\" or \"1h 30m\"")]
    Span(String),
    #[error("`{0}` is too long: a duration is at most {days}d, which is about 10,000 years", days = Span::LONGEST.get().as_secs() / DAY)]
    TooLong(String),
    #[error("`{0}` is not a size: write a number with a unit, such as \"64MiB\", \"2GiB\" or \"500KB\"")]
    Size(String),
}

impl Span {
    /// Longer ones are refused: added to a time or to a clock, they would lead beyond what either can express.
    pub const LONGEST: Self = Self::from_secs(3_650_000 * DAY);

    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for Span {
    type Err = InvalidUnit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || InvalidUnit::Span(text.to_owned());
        let text = text.trim();
        let (days, rest) = split_days(text).ok_or_else(refused)?;
        let rest = if rest.is_empty() && !text.is_empty() {
            Duration::ZERO
        } else {
            let signed: SignedDuration = rest.parse().map_err(|_| refused())?;
            Duration::try_from(signed).map_err(|_| refused())?
        };
        let whole = Self(days.saturating_add(rest));
        if whole > Self::LONGEST { Err(InvalidUnit::TooLong(text.to_owned())) } else { Ok(whole) }
    }
}

const DAY: u64 = 24 * 60 * 60;

/// Takes leading days off `"30d"` or `"1d 12h"`, as 24 hours each: jiff's own durations stop at hours, because a
/// calendar's day has no fixed length.
fn split_days(text: &str) -> Option<(Duration, &str)> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    let rest = ["days", "day", "d"].iter().find_map(|word| unit.strip_prefix(word));
    match rest {
        Some(rest) if digits > 0 && !rest.starts_with(|c: char| c.is_alphabetic()) => {
            let seconds = number.parse::<u64>().ok()?.checked_mul(DAY)?;
            Some((Duration::from_secs(seconds), rest.trim_start()))
        }
        _ => Some((Duration::ZERO, text)),
    }
}

impl TryFrom<String> for Span {
    type Error = InvalidUnit;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.subsec_nanos() == 0 && self.0.as_secs() > 0 && self.0.as_secs().is_multiple_of(DAY) {
            return write!(f, "{}d", self.0.as_secs() / DAY);
        }
        let printer = SpanPrinter::new().designator(Designator::Compact).spacing(Spacing::BetweenUnits);
        f.write_str(&printer.unsigned_duration_to_string(&self.0))
    }
}

/// A number of bytes, such as `"64MiB"` (1024-based) or `"500KB"` (1000-based). A number without a unit is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Size(u64);

const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

impl Size {
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = InvalidUnit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || InvalidUnit::Size(text.to_owned());
        let trimmed = text.trim();
        let (unit, scale) = UNITS.iter().find(|(unit, _)| trimmed.ends_with(unit)).ok_or_else(refused)?;
        let number: u64 = trimmed[..trimmed.len() - unit.len()].trim().parse().map_err(|_| refused())?;
        number.checked_mul(*scale).map(Self).ok_or_else(refused)
    }
}

impl TryFrom<String> for Size {
    type Error = InvalidUnit;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        size.to_string()
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = |(_, scale): &&(&str, u64)| self.0 >= *scale && self.0.is_multiple_of(*scale);
        let (unit, scale) = UNITS.iter().find(exact).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_and_print_as_people_write_them() {
        for (text, millis, printed) in
            [("90s", 90_000, "1m 30s"), ("1h 30m", 5_400_000, "1h 30m"), ("500ms", 500, "500ms"), ("0s", 0, "0s")]
        {
            let span: Span = text.parse().unwrap();
            assert_eq!((span, span.to_string().as_str()), (Span::from_millis(millis), printed));
            assert_eq!(span.to_string().parse(), Ok(span));
        }
        for (text, hours, printed) in [("30d", 720, "30d"), ("1d 12h", 36, "36h"), ("2 days", 48, "2d")] {
            let span: Span = text.parse().unwrap();
            assert_eq!((span, span.to_string().as_str()), (Span::from_secs(hours * 3600), printed));
            assert_eq!(span.to_string().parse(), Ok(span));
        }
        for bad in ["", "90", "-5s", "soon", "d", "30dx", "30", "99999999999999999999d", "1d -1h"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
        assert_eq!("3650000d".parse(), Ok(Span::LONGEST));
        for far in ["3650000d 1ns", "99999999999999d", "99999999999999h"] {
            assert_eq!(far.parse::<Span>(), Err(InvalidUnit::TooLong(far.to_owned())), "{far}");
        }
    }

    #[test]
    fn sizes_read_and_print_as_people_write_them() {
        for (text, bytes, printed) in
            [("2GiB", 2 << 30, "2GiB"), ("64 MiB", 64 << 20, "64MiB"), ("500KB", 500_000, "500KB"), ("0B", 0, "0B")]
        {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, printed));
        }
        for bad in ["", "2", "GiB", "-1MB", "99999999TiB", "2 GB x"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }
}
