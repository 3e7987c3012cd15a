//! The ledger as it stands, read as any client can.

use std::time::Duration;

use nexus_bus::Bus;
use nexus_core::view::Record;

/// The longest wait for the next records.
const LIMIT: Duration = Duration::from_secs(20);

/// All of it, in order; or why it can't be read.
pub(crate) async fn read(bus: &Bus) -> Result<Vec<Record>, String> {
    let mut tail = bus.tail(0).await.map_err(|error| error.to_string())?;
    let mut records = Vec::new();
    let mut pending = tail.pending;
    while pending > 0 {
        let batch = tokio::time::timeout(LIMIT, tail.next()).await;
        let Ok(Some(batch)) = batch else {
            return Err(format!("its reading broke off, {pending} records before its end"));
        };
        pending = batch.pending;
        records.extend(batch.records.into_iter().map(|(_, record)| record));
    }
    Ok(records)
}
