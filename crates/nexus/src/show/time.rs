//! Times for people: local, with the date where it isn't today's. Programs get RFC 3339 in UTC.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// A time, as short as it can be told.
pub(crate) fn time(at: Timestamp) -> String {
    told(&Zoned::new(at, TimeZone::system()), &Zoned::now())
}

/// The same, always with its date: for what is read later.
pub(crate) fn dated(at: &Zoned) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn told(at: &Zoned, now: &Zoned) -> String {
    if at.date() == now.date() { at.strftime("%H:%M:%S").to_string() } else { dated(at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_told_where_it_is_not_today_s() {
        let zone = TimeZone::fixed(jiff::tz::offset(-5));
        let at = |text: &str| text.parse::<Timestamp>().unwrap().to_zoned(zone.clone());
        let now = at("2026-11-29T15:57:39Z");
        for (then, said) in [
            ("2026-11-29T05:00:00Z", "00:00:00"),
            ("2026-11-29T04:59:59Z", "2026-11-28 23:59:59"),
            ("2026-11-30T04:59:59Z", "23:59:59"),
            ("2026-11-30T05:00:00Z", "2026-11-30 00:00:00"),
        ] {
            assert_eq!(told(&at(then), &now), said);
        }
    }
}
