//! Waking a department: at once, and of many calls in a moment two.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nexus_core::id::DepartmentName;
use nexus_core::lane::Lane;

use crate::bus::Bus;
use crate::subject;

/// Lanes that were called within the last moment, and whether they are to be called again at its end. Shared by all clones of
/// a [`Bus`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Wakes(Arc<Mutex<BTreeMap<(DepartmentName, usize), bool>>>);

/// Calls that come sooner after one are made together.
const MOMENT: Duration = Duration::from_millis(1);

impl Wakes {
    fn called(&self) -> MutexGuard<'_, BTreeMap<(DepartmentName, usize), bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bus {
    /// Tells the department, wherever it is, that something may wait. Lost wake-ups only cost time: it looks by itself.
    pub async fn wake(&self, department: &DepartmentName, lane: Lane) {
        let key = (department.clone(), lane.index());
        match self.wakes.called().entry(key.clone()) {
            Entry::Occupied(mut again) => {
                again.insert(true);
                return;
            }
            Entry::Vacant(place) => drop(place.insert(false)),
        }
        // Before the call is waited for: whoever drops this halfway leaves no lane that nobody calls any more.
        let bus = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(MOMENT).await;
            if bus.wakes.called().remove(&key) == Some(true) {
                bus.call(&key.0, lane).await;
            }
        });
        self.call(department, lane).await;
    }

    async fn call(&self, department: &DepartmentName, lane: Lane) {
        if let Err(error) = self.nats.publish(subject::wake(department), lane.to_string().into()).await {
            tracing::debug!("could not wake {department}: {error}");
        }
    }
}
