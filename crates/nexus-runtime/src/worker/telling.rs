//! Telling the ledger what an agent's run has come to: at once when its session is known, then now and then.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nexus_bus::{BusError, Claim};
use nexus_core::run::RunReport;
use tokio::time::Instant;

/// The telling of one attempt's events.
pub(super) struct Telling {
    claim: Arc<Claim>,
    began: Instant,
    told: RunReport,
    told_at: Option<Instant>,
    under_way: Option<Write>,
}

type Write = Pin<Box<dyn Future<Output = Result<u64, BusError>> + Send>>;

impl std::fmt::Debug for Telling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telling").field("told", &self.told).finish_non_exhaustive()
    }
}

/// The pause between two events is a tenth of the attempt's age, within these: some sixty events in half an hour, and then one
/// a minute.
const SHORTEST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(60);

impl Telling {
    pub(super) fn new(claim: Arc<Claim>, began: Instant) -> Self {
        Self { claim, began, told: RunReport::default(), told_at: None, under_way: None }
    }

    /// Begins to tell of it, if there is anything new and it is time. A session that nobody knows of yet doesn't wait, and neither
    /// does a question: people have to see it, and it is there for minutes.
    pub(super) fn tell(&mut self, report: &RunReport) {
        if self.under_way.is_some() || *report == self.told {
            return;
        }
        let is_asked = report.questions.iter().any(|question| !self.told.questions.contains(question));
        let is_urgent = is_asked || report.session.is_some() && self.told.session.is_none();
        if !is_urgent && self.told_at.unwrap_or(self.began).elapsed() < pause(self.began.elapsed()) {
            return;
        }
        self.told = report.clone();
        self.told_at = Some(Instant::now());
        let (claim, report) = (Arc::clone(&self.claim), report.clone());
        self.under_way = Some(Box::pin(async move { claim.progress(report, Timestamp::now()).await }));
    }

    /// The event's sequence, once it is written. What could not be written is said by the next one, or by the attempt's end.
    pub(super) async fn written(&mut self) -> Option<u64> {
        let Some(telling) = &mut self.under_way else { return std::future::pending().await };
        let written = telling.await;
        self.under_way = None;
        written.inspect_err(|error| tracing::debug!("a run's progress was not written: {error}")).ok()
    }
}

fn pause(age: Duration) -> Duration {
    (age / 10).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_an_hour_is_told_in_less_than_a_hundred_events() {
        let (mut age, mut events) = (Duration::ZERO, 0);
        while age < Duration::from_secs(1800) {
            age += pause(age);
            events += 1;
        }
        assert!((50..100).contains(&events), "{events}");
    }
}
