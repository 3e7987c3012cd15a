//! Waking a department: at once, and of many calls in a moment two. Over NATS, or within the process where every department lives in
//! it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use nexus_core::id::DepartmentName;
use nexus_core::lane::Lane;
use tokio::sync::Notify;

use crate::bus::Bus;
use crate::subject;

/// Shared by all clones of a [`Bus`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Wakes(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Lanes that were called within the last moment, and whether they are to be called again at its end.
    called: Mutex<BTreeMap<(DepartmentName, usize), bool>>,
    /// Every department lives in this process.
    here: AtomicBool,
    bells: Mutex<BTreeMap<DepartmentName, Arc<Bell>>>,
}

/// The lanes of a department that were called and that it hasn't heard of, a bit each.
#[derive(Debug, Default)]
struct Bell {
    lanes: AtomicU32,
    rung: Notify,
}

/// Calls that come sooner after one are made together.
const MOMENT: Duration = Duration::from_millis(1);

impl Wakes {
    fn called(&self) -> MutexGuard<'_, BTreeMap<(DepartmentName, usize), bool>> {
        self.0.called.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bells(&self) -> MutexGuard<'_, BTreeMap<DepartmentName, Arc<Bell>>> {
        self.0.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls a department that lives here; false: it may live elsewhere.
    fn ring(&self, department: &DepartmentName, lane: Lane) -> bool {
        if !self.0.here.load(Ordering::Relaxed) {
            return false;
        }
        let Some(bell) = self.bells().get(department).cloned() else { return false };
        bell.lanes.fetch_or(1 << lane.index(), Ordering::AcqRel);
        bell.rung.notify_one();
        true
    }

    /// The calls from within the process. One who listens gets them all, in whatever order.
    pub(crate) fn rung(&self, department: &DepartmentName) -> impl Stream<Item = Lane> + use<> {
        let bell = Arc::clone(self.bells().entry(department.clone()).or_default());
        let heard = stream::unfold(bell, |bell| async move {
            bell.rung.notified().await;
            let lanes = bell.lanes.swap(0, Ordering::AcqRel);
            Some((stream::iter(Lane::all().filter(move |lane| lanes & (1 << lane.index()) != 0)), bell))
        });
        heard.flatten()
    }
}

impl Bus {
    /// Every department lives in this process: none is called over NATS, where that costs the broker two messages. (Who calls one
    /// there is heard as ever.)
    pub fn call_here(&self) {
        self.wakes.0.here.store(true, Ordering::Relaxed);
    }

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
        if self.wakes.ring(department, lane) {
            return;
        }
        if let Err(error) = self.nats.publish(subject::wake(department), lane.to_string().into()).await {
            tracing::debug!("could not wake {department}: {error}");
        }
    }
}
