//! Keeps an attempt's lease alive, and says so in time when it can't: the agent must be dead before another may start.

use std::sync::Arc;
use std::time::Duration;

use nexus_bus::Claim;
use nexus_core::attempt::Input;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

/// Renews every third of the lease. When two thirds have passed without a confirmation, the lease counts as lost: the
/// last third is for killing the agent. The clock is monotonic, so a stopped and continued process notices at once.
pub(super) async fn renew(claim: Arc<Claim>, lease: Duration, inputs: mpsc::Sender<Input>) {
    let period = lease / 3;
    let mut held_since = Instant::now();
    let mut next = held_since + period;
    loop {
        sleep_until(next).await;
        let asked = Instant::now();
        let left = (held_since + period * 2).saturating_duration_since(asked);
        let renewed = timeout(left, claim.renew(left.min(period))).await;
        match renewed {
            // The lease runs from when it was asked for: the broker can't have counted from an earlier moment.
            Ok(Ok(())) if !left.is_zero() => {
                held_since = asked;
                next = asked + period;
            }
            Ok(Err(error)) if Instant::now() < held_since + period * 2 => {
                tracing::debug!(task = %claim.entry.task.id, "the lease was not renewed: {error}");
                next = Instant::now() + period / 8;
            }
            _ => {
                tracing::warn!(task = %claim.entry.task.id, "the lease could not be renewed in time; ending the agent");
                let _ = inputs.send(Input::LeaseLost).await;
                return;
            }
        }
    }
}
