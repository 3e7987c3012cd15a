//! Saying something once in a while, however often it happens.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// When it was said last.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<Option<Instant>>);

/// Often enough to be found in a log that is looked at.
const PERIOD: Duration = Duration::from_secs(600);

impl Seldom {
    /// True if it is time to say it (again).
    pub(crate) fn is_time(&self) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = said.is_none_or(|said| said.elapsed() >= PERIOD);
        if is_time {
            *said = Some(Instant::now());
        }
        is_time
    }
}
