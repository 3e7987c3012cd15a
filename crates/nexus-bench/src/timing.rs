//! Doing something many times, so many at once, and what that took.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use crate::LoadError;

/// Does `one(0)` to `one(count - 1)`, at most `at_once` at a time, and says how long each took and all together.
pub(crate) async fn repeat<F>(count: usize, at_once: usize, one: impl Fn(usize) -> F) -> Result<Value, LoadError>
where
    F: Future<Output = Result<(), LoadError>>,
{
    let begun = Instant::now();
    let timed = stream::iter(0..count).map(|number| {
        let doing = one(number);
        async move {
            let begun = Instant::now();
            doing.await?;
            Ok::<_, LoadError>(begun.elapsed())
        }
    });
    let took: Vec<_> = timed.buffer_unordered(at_once.max(1)).try_collect().await?;
    Ok(figures(took, begun.elapsed()))
}

/// Count, rate (per second), and the median and the 99th percentile in microseconds.
pub(crate) fn figures(mut took: Vec<Duration>, whole: Duration) -> Value {
    took.sort_unstable();
    json!({
        "count": took.len(),
        "seconds": whole.as_secs_f64(),
        "rate": rate(took.len(), whole),
        "p50": percentile(&took, 50),
        "p99": percentile(&took, 99),
    })
}

pub(crate) fn rate(count: usize, whole: Duration) -> f64 {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    f64::from(count) / whole.as_secs_f64().max(f64::EPSILON)
}

/// In microseconds, of what is sorted.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let at = sorted.len().saturating_sub(1) * percent / 100;
    sorted.get(at).map_or(0.0, |took| took.as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_sorted() {
        let took = (1..=100).rev().map(Duration::from_millis).collect();
        let figures = figures(took, Duration::from_secs(2));
        assert_eq!(figures["p50"], 50_000.0);
        assert_eq!(figures["p99"], 99_000.0);
        assert_eq!(figures["rate"], 50.0);
    }
}
