//! The records of departments that fail: one a node and department, the newest of which holds.

use std::collections::BTreeMap;

use nexus_core::id::NodeId;
use nexus_core::staff::StaffRecord;

use crate::bus::Bus;
use crate::error::{BusError, unreachable};
use crate::ledger::outgoing;
use crate::subject;

/// Records that are read at once. There is one a department, and one more where a purge was missed.
const BATCH: usize = 256;

impl Bus {
    /// The records of a node. One that can't be read is as good as none, which costs a crash loop one more round.
    pub async fn staff(&self, node: &NodeId) -> Result<Vec<StaffRecord>, BusError> {
        let (mut records, mut from) = (BTreeMap::new(), 1);
        loop {
            let (found, more) = self.read(subject::TASKS, &subject::staff_of(node), from, BATCH).await?;
            for stored in &found {
                from = stored.seq + 1;
                match stored.decode::<StaffRecord>() {
                    Ok(record) => drop(records.insert(record.department.clone(), record)),
                    Err(error @ BusError::Unreadable { .. }) => tracing::warn!("left out: {error}"),
                    Err(error) => return Err(error),
                }
            }
            if !more || found.is_empty() {
                return Ok(records.into_values().collect());
            }
        }
    }

    /// Writes a record in the place of the one before.
    pub async fn write_staff(&self, record: &StaffRecord) -> Result<(), BusError> {
        let subject = subject::staff(&record.node, &record.department);
        let message = outgoing(subject.clone(), "nexus.staff", record.department.as_str(), record.at, None, record)?;
        self.publish(&message).await?;
        let stream = self.js.get_stream_no_info(subject::TASKS).await.map_err(unreachable)?;
        // Missed, it is made up for by the next one: until then the newest holds.
        if let Err(error) = stream.purge().filter(subject).keep(1).await {
            tracing::debug!("an old record of a department is still there: {error}");
        }
        Ok(())
    }
}
