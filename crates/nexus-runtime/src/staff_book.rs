//! The node's memory of departments that fail: as known now, and on the ledger as soon as the broker takes it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nexus_bus::{Bus, BusError};
use nexus_core::id::{DepartmentName, NodeId};
use nexus_core::staff::StaffRecord;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Records by department, those of removed departments too: a file that comes back is no new chance.
///
/// It outlives the CEO, so that one that is restarted knows what its predecessor has seen without asking the broker.
#[derive(Debug)]
pub(crate) struct StaffBook {
    pages: watch::Sender<Pages>,
    _writer: AbortOnDropHandle<()>,
}

/// One record for each department that ever failed on this node; each is bounded.
#[derive(Debug, Default)]
struct Pages {
    records: BTreeMap<DepartmentName, StaffRecord>,
    /// Not on the ledger yet.
    unwritten: BTreeSet<DepartmentName>,
}

/// Wait after a write that failed.
const AGAIN: Duration = Duration::from_secs(1);

impl StaffBook {
    /// Reads what the ledger holds of this node.
    pub(crate) async fn open(bus: Bus, node: &NodeId) -> Result<Self, BusError> {
        let records = bus.staff(node).await?.into_iter().map(|record| (record.department.clone(), record)).collect();
        let pages = watch::Sender::new(Pages { records, unwritten: BTreeSet::new() });
        let writer = AbortOnDropHandle::new(tokio::spawn(write(bus, pages.clone())));
        Ok(Self { pages, _writer: writer })
    }

    pub(crate) fn get(&self, department: &DepartmentName) -> Option<StaffRecord> {
        self.pages.borrow().records.get(department).cloned()
    }

    /// Holds from now on, and goes to the ledger beside whoever says it.
    pub(crate) fn put(&self, record: StaffRecord) {
        self.pages.send_modify(|pages| {
            pages.unwritten.insert(record.department.clone());
            pages.records.insert(record.department.clone(), record);
        });
    }

    /// Returns when all that was put is on the ledger.
    pub(crate) async fn written(&self) {
        // The sender is ours, so there is no end of it to be told of.
        let _ = self.pages.subscribe().wait_for(|pages| pages.unwritten.is_empty()).await;
    }
}

/// Writes what isn't written, department by department: always its last state, and until the broker takes it.
async fn write(bus: Bus, pages: watch::Sender<Pages>) {
    let mut changes = pages.subscribe();
    loop {
        let next = |pages: &Pages| pages.unwritten.first().and_then(|name| pages.records.get(name)).cloned();
        let record = match changes.wait_for(|pages| !pages.unwritten.is_empty()).await {
            Ok(pages) => next(&pages),
            Err(_) => return,
        };
        let Some(record) = record else { return };
        match bus.write_staff(&record).await {
            Ok(()) => pages.send_modify(|pages| {
                // Otherwise it has changed while it was written.
                if pages.records.get(&record.department) == Some(&record) {
                    pages.unwritten.remove(&record.department);
                }
            }),
            Err(error) => {
                tracing::warn!(department = %record.department, "its failures are not on the ledger yet: {error}");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}
