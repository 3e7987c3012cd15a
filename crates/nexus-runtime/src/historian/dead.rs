//! Keeps the dead letters of tasks true to the ledger as it is folded: one for each task that has failed for good, none for
//! one that was retried. Nothing else writes them.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::Timestamp;
use nexus_bus::{Bus, BusError, Last};
use nexus_core::event::What;
use nexus_core::id::TaskId;
use nexus_core::view::Record;

/// Letters that are written at once, so that a thousand failures a second don't hold up the folding; each may have a page
/// of events in memory, a few MiB at the very most.
const AT_ONCE: usize = 16;

/// Writes and takes away what these records ask for; doing it again changes nothing. What is older than `retention` is left:
/// its letter would be gone. An error means that the broker is away, and that it has to be done again.
pub(super) async fn keep(bus: &Bus, records: &[(u64, Record)], retention: Duration) -> Result<(), BusError> {
    let oldest = Timestamp::now().checked_sub(retention).unwrap_or(Timestamp::MIN);
    // The latest of each task: what came before it doesn't hold any more.
    let mut latest: HashMap<TaskId, Last> = HashMap::new();
    for (seq, record) in records {
        if let Record::Event(event) = record
            && matches!(event.what, What::Failed { .. } | What::Retried { .. })
            && event.at >= oldest
        {
            latest.insert(event.task_id, Last { event: event.clone(), seq: *seq });
        }
    }
    let each = latest.into_values().map(async |last| match last.event.what {
        What::Retried { .. } => bus.exhume_task(&last.event.department, last.event.task_id, last.seq).await,
        _ => bus.bury_task(&last).await.map(drop),
    });
    let mut results = futures_util::stream::iter(each).buffer_unordered(AT_ONCE);
    let (mut refused, mut cause) = (0, None);
    while let Some(result) = results.next().await {
        match result {
            Ok(()) => {}
            Err(error @ (BusError::Unreachable(_) | BusError::Connect { .. })) => return Err(error),
            Err(error) => {
                refused += 1;
                cause.get_or_insert(error);
            }
        }
    }
    if let Some(cause) = cause {
        tracing::warn!("{refused} dead letters of tasks could not be kept: {cause}");
    }
    Ok(())
}
