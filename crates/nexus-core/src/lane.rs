//! The lanes of a department's queue: one for each priority, and one before them all for what was interrupted.

use std::fmt;
use std::str::FromStr;

use crate::event::What;
use crate::id::Priority;

/// Where a queue entry waits: the third token of `nexus.queue.<department>.<lane>.<task>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// It was running and was interrupted through no fault of its own: before everything that has not begun. No task gets
    /// here more than [`crate::retry::MAX_INTERRUPTIONS`] times, so the others wait for it that often at most.
    Again,
    /// In the order of its priority.
    Priority(Priority),
}

/// Why a lane was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a lane of a queue: it is `again` or a priority from 0 to 9")]
pub struct InvalidLane(pub String);

impl Lane {
    pub const COUNT: usize = Priority::COUNT + 1;

    /// Where the entry waits that is queued together with an event.
    #[must_use]
    pub const fn after(what: &What, priority: Priority) -> Self {
        match what {
            What::Interrupted { .. } => Self::Again,
            _ => Self::Priority(priority),
        }
    }

    /// All of them, in the order in which they are served.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Again).chain(Priority::descending().map(Self::Priority))
    }

    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Again => Priority::COUNT,
            Self::Priority(priority) => priority.index(),
        }
    }
}

impl From<Priority> for Lane {
    fn from(priority: Priority) -> Self {
        Self::Priority(priority)
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Again => f.write_str("again"),
            Self::Priority(priority) => priority.fmt(f),
        }
    }
}

impl FromStr for Lane {
    type Err = InvalidLane;

    fn from_str(text: &str) -> Result<Self, InvalidLane> {
        Self::all().find(|lane| lane.to_string() == text).ok_or_else(|| InvalidLane(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_token_and_a_place_of_its_own() {
        let tokens: Vec<_> = Lane::all().map(|lane| lane.to_string()).collect();
        assert_eq!(tokens, ["again", "9", "8", "7", "6", "5", "4", "3", "2", "1", "0"]);
        let mut places: Vec<_> = Lane::all().map(Lane::index).collect();
        places.sort_unstable();
        assert_eq!(places, (0..Lane::COUNT).collect::<Vec<_>>());
        assert!(Lane::all().all(|lane| lane.to_string().parse() == Ok(lane)));
        for bad in ["", "10", "05", "*", "Again", " 5"] {
            assert_eq!(bad.parse::<Lane>(), Err(InvalidLane(bad.to_owned())));
        }
    }

    #[test]
    fn only_what_was_interrupted_goes_before_the_rest() {
        let lane = |what| Lane::after(&what, Priority::DEFAULT);
        assert_eq!(lane(What::Interrupted { reason: String::new(), run: None }), Lane::Again);
        assert_eq!(lane(What::Retried { reason: String::new() }), Priority::DEFAULT.into());
    }
}
