//! Keeps the history up with the ledger, and makes readers wait until it holds what they may know of.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nexus_bus::{Bus, BusError};
use nexus_core::event::What;
use nexus_core::id::{DepartmentName, NodeId};
use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::spend::day;
use nexus_core::view::{Record, TaskView};
use nexus_history::{Counts, History, HistoryError};
use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;

mod dead;
mod estimates;

use crate::purse::Purses;
use estimates::Estimates;

/// The history, as far as it has come.
#[derive(Debug)]
pub(crate) struct Historian {
    history: History,
    state: watch::Receiver<State>,
    /// Sequence of the newest thing that this node has written itself: whoever asks after it may know of it.
    written: AtomicU64,
    rebuild: Arc<Notify>,
    /// The number of those who wait for what comes next.
    waiting: Arc<watch::Sender<usize>>,
    estimates: Estimates,
    folder: AbortOnDropHandle<()>,
}

/// The progress of the history.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) position: u64,
    pub(crate) counts: Arc<Counts>,
    /// The newest record that may leave a task without its parent: an end other than well, or a child's beginning.
    pub(crate) partings: u64,
    /// Nothing was left to fold when this was said.
    caught_up: bool,
    /// The number of times that it was made anew.
    rebuilds: u64,
    /// Why it stopped before the ledger's end: what comes there was written by a newer nexus.
    halted: Option<BusError>,
    /// Why nothing can be folded at the moment.
    waits: Option<Refusal>,
}

/// The longest wait of a reader for the history to catch up with what this node wrote.
const PATIENCE: Duration = Duration::from_secs(5);
/// The time for which little is kept that was heard before it is folded, while nobody waits for it. A task at work is told of three
/// times in a moment: together they cost one transaction and one row, and a busy company writes ten times a second at most. Nor
/// does it write while whoever was told of goes on with what comes next.
const PACE: Duration = Duration::from_millis(100);
/// Entries that are heard of sooner were put on the queue by who asked for them, who has told the department.
const AT_ONCE: SignedDuration = SignedDuration::from_millis(200);
/// Records that are more than little.
const MUCH: u64 = 2048;
/// The longest time that records that are to come may stay away.
const QUIET: Duration = Duration::from_secs(2);
/// Wait after a failure to fold, so that a database that is away is not asked all the time.
const AGAIN: Duration = Duration::from_secs(1);
/// Wait before it is looked whether what was written by a newer nexus is still there: it is, unless it was purged.
const NEWER: Duration = Duration::from_secs(60);

impl Historian {
    /// Starts folding the ledger whose identity is `ledger`, from where the history had come. Dead letters are kept for
    /// `retention`.
    pub(crate) async fn start(
        bus: Bus,
        history: History,
        ledger: &str,
        retention: Duration,
        purses: Arc<Purses>,
    ) -> Result<Self, HistoryError> {
        history.bind(ledger).await?;
        let first = State {
            position: history.position().await?,
            counts: Arc::new(history.counts().await?),
            ..State::default()
        };
        let (sender, state) = watch::channel(first);
        let (rebuild, waiting) = (Arc::new(Notify::new()), Arc::new(watch::Sender::new(0)));
        let folder = Folder {
            bus,
            history: history.clone(),
            state: sender,
            rebuild: Arc::clone(&rebuild),
            waiting: waiting.subscribe(),
            retention,
            purses,
        };
        Ok(Self {
            history,
            state,
            written: AtomicU64::default(),
            rebuild,
            waiting,
            estimates: Estimates::default(),
            folder: AbortOnDropHandle::new(tokio::spawn(folder.run())),
        })
    }

    /// This node has written something at `seq`.
    pub(crate) fn wrote(&self, seq: u64) {
        self.written.fetch_max(seq, Ordering::AcqRel);
    }

    /// This node has written an event at `seq` and the queue entry that follows from it: they are told of together.
    pub(crate) fn wrote_with_entry(&self, seq: u64) {
        self.wrote(seq.saturating_add(1));
    }

    /// The history, once it holds everything this node has written.
    pub(crate) async fn current(&self) -> Result<&History, Refusal> {
        let written = self.written.load(Ordering::Acquire);
        let mut state = self.state.clone();
        let is_told = |state: &State| state.halted.is_some() || state.position >= written;
        let _waits = Waits::begin(&self.waiting);
        let caught_up = tokio::time::timeout(PATIENCE, state.wait_for(is_told)).await;
        match caught_up {
            Ok(Ok(state)) => match &state.halted {
                Some(error) => Err(error.clone().into()),
                None => Ok(&self.history),
            },
            _ => {
                let state = self.state.borrow();
                let behind = written.saturating_sub(state.position);
                let (kind, why) = match &state.waits {
                    Some(why) => (why.kind, format!(": {why}")),
                    None => (RefusalKind::Busy, String::new()),
                };
                Err(Refusal::new(kind, format!("the history is {behind} records behind the ledger{why}"))
                    .with_help("nothing is lost: the ledger has everything, and the history catches up by itself"))
            }
        }
    }

    /// Its progress so far.
    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// The tasks that run on a node, as far as the ledger is folded.
    pub(crate) async fn running_on(&self, node: &NodeId) -> Result<Vec<TaskView>, HistoryError> {
        self.history.running_on(node).await
    }

    /// The nodes that something is running on, by the same.
    pub(crate) async fn nodes_at_work(&self) -> Result<Vec<NodeId>, HistoryError> {
        self.history.nodes_at_work().await
    }

    /// Resolves when something has been folded since `seen` that may leave a task without its parent: up to where.
    pub(crate) async fn parted(&self, seen: u64) -> u64 {
        let mut state = self.state.clone();
        let folded = state.wait_for(|state| state.partings > seen).await.map(|state| state.partings);
        match folded {
            Ok(partings) => partings,
            // Nothing is folded any more.
            Err(_) => std::future::pending().await,
        }
    }

    /// As far as the ledger is folded, whatever this node has written since.
    pub(crate) const fn folded(&self) -> &History {
        &self.history
    }

    /// Waits until everything up to `seq` is folded that can be.
    pub(crate) async fn reached(&self, seq: u64) {
        let is_there = |state: &State| state.position >= seq || state.halted.is_some();
        let _waits = Waits::begin(&self.waiting);
        let _ = self.state.clone().wait_for(is_there).await;
    }

    /// Waits until nothing is left to fold that can be.
    pub(crate) async fn caught_up(&self) {
        let _waits = Waits::begin(&self.waiting);
        let _ = self.state.clone().wait_for(|state| state.caught_up || state.halted.is_some()).await;
    }

    /// Makes the history anew from the ledger's beginning.
    pub(crate) async fn rebuild(&self) -> Result<(), Refusal> {
        let mut state = self.state.clone();
        let before = state.borrow_and_update().rebuilds;
        self.rebuild.notify_one();
        let _waits = Waits::begin(&self.waiting);
        let is_over = |state: &State| state.rebuilds > before && (state.caught_up || state.halted.is_some());
        match state.wait_for(is_over).await {
            Ok(state) => state.halted.clone().map_or(Ok(()), |error| Err(error.into())),
            Err(_) => Err(Refusal::new(RefusalKind::Internal, "the history is not being kept any more")),
        }
    }

    /// About how long such a task takes, in milliseconds.
    pub(crate) async fn estimate(&self, department: &DepartmentName, task_type: &str) -> Option<u64> {
        self.estimates.of(&self.history, department, task_type).await
    }

    /// Stops folding; what the ledger holds beyond that is folded by the next start.
    pub(crate) async fn close(&self) {
        self.folder.abort();
        self.history.close().await;
    }
}

/// Counts one who waits for the history to come further.
struct Waits<'a>(&'a watch::Sender<usize>);

impl<'a> Waits<'a> {
    fn begin(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|waiting| *waiting += 1);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting = waiting.saturating_sub(1));
    }
}

struct Folder {
    bus: Bus,
    history: History,
    state: watch::Sender<State>,
    rebuild: Arc<Notify>,
    waiting: watch::Receiver<usize>,
    retention: Duration,
    purses: Arc<Purses>,
}

/// Why folding stopped for a moment.
#[derive(Debug, thiserror::Error)]
enum Interruption {
    #[error("{0}")]
    Bus(#[from] BusError),
    #[error("{0}")]
    History(#[from] HistoryError),
}

impl Folder {
    async fn run(self) {
        loop {
            let Err(error) = self.follow().await;
            let newer = matches!(error, Interruption::Bus(BusError::Newer { .. }));
            tracing::warn!("the history waits: {error}");
            let waits = match &error {
                Interruption::Bus(error) => error.clone().into(),
                Interruption::History(error) => refused(error),
            };
            self.state.send_modify(|state| (state.caught_up, state.waits) = (false, Some(waits)));
            tokio::select! {
                () = tokio::time::sleep(if newer { NEWER } else { AGAIN }) => {}
                // To be heeded where the ledger is followed.
                () = self.rebuild.notified() => self.rebuild.notify_one(),
            }
        }
    }

    async fn follow(&self) -> Result<std::convert::Infallible, Interruption> {
        let mut position = self.history.position().await?;
        // One that brings nothing and ends is not opened again at once.
        let mut fruitful = true;
        'open: loop {
            let (_, end) = self.bus.ledger_extent().await?;
            if position > end {
                // After a power failure, say, or when a copy of the store was put back: what the history knows of is gone.
                tracing::warn!("the ledger ends at {end}, before what the history holds ({position}); making it anew");
                self.history.clear().await?;
                position = 0;
            }
            let mut tail = self.bus.tail(position).await?;
            // The last records may have been purged: what isn't there any more has been seen when nothing is pending.
            let seen = move |upto: u64, pending| if pending == 0 { upto.max(end) } else { upto };
            self.state.send_modify(|state| {
                state.position = seen(state.position.min(position), tail.pending);
                state.caught_up = tail.pending == 0;
                if state.caught_up {
                    state.halted = None;
                }
            });
            // While it is made anew, less is counted than was spent.
            let mut whole = tail.pending == 0;
            if whole {
                self.count(u64::MAX).await?;
            }
            loop {
                // What was to come may have been purged on its way, and nothing may follow for long: asked for anew, the broker
                // says that nothing is pending.
                let quiet = if self.state.borrow().caught_up { Duration::MAX } else { QUIET };
                let batch = tokio::select! {
                    batch = tail.next_within(quiet) => batch,
                    () = self.rebuild.notified() => break,
                };
                let Some(batch) = batch else {
                    if !std::mem::take(&mut fruitful) {
                        tracing::warn!("the ledger brings nothing; it is asked again");
                        tokio::time::sleep(AGAIN).await;
                    }
                    position = self.history.position().await?;
                    continue 'open;
                };
                fruitful = true;
                if batch.pending < MUCH {
                    self.wake(&batch.records).await;
                    let mut waiting = self.waiting.clone();
                    let _ = tokio::time::timeout(PACE, waiting.wait_for(|waiting| *waiting > 0)).await;
                }
                // Before the position moves: what is folded has its letter, whenever this stops.
                dead::keep(&self.bus, &batch.records, self.retention).await?;
                self.history.fold(&batch.records, batch.upto).await?;
                self.purses.hear(batch.records.iter().filter_map(|(_, record)| match record {
                    Record::Event(event) => Some(event),
                    Record::Entry(_) | Record::Scheduled(_) => None,
                }));
                whole |= batch.pending == 0;
                if whole {
                    self.count(batch.upto).await?;
                }
                let counts = Arc::new(self.history.counts().await?);
                let parting = batch.records.iter().filter(|(_, record)| parts(record)).map(|(seq, _)| *seq).max();
                self.state.send_modify(|state| {
                    state.position = state.position.max(seen(batch.upto, batch.pending));
                    state.waits = None;
                    state.counts = counts;
                    state.partings = state.partings.max(parting.unwrap_or_default());
                    state.caught_up = batch.pending == 0;
                    state.halted.clone_from(&batch.newer);
                });
                if let Some(error) = batch.newer {
                    return Err(error.into());
                }
            }
            tracing::info!("making the history anew from the ledger");
            self.history.clear().await?;
            position = 0;
            self.state.send_modify(|state| {
                let rebuilds = state.rebuilds + 1;
                *state = State { rebuilds, ..State::default() };
            });
        }
    }
}

fn parts(record: &Record) -> bool {
    match record {
        Record::Entry(entry) => entry.task.parent.is_some(),
        Record::Event(event) => matches!(event.what, What::Failed { .. } | What::Cancelled { .. }),
        _ => false,
    }
}

impl Folder {
    /// Wakes the departments whose entries have come due: the broker puts them on the queue by itself, and tells nobody.
    async fn wake(&self, records: &[(u64, Record)]) {
        let now = Timestamp::now();
        let due = records.iter().filter_map(|(_, record)| match record {
            Record::Entry(entry) if now.duration_since(entry.queued_at) > AT_ONCE => {
                Some((&entry.task.department, entry.task.priority))
            }
            _ => None,
        });
        for (department, priority) in due.collect::<BTreeSet<_>>() {
            self.bus.wake(department, priority.into()).await;
        }
    }

    /// Says what was spent today, unless it is counted further than what was heard: in a database that several nodes share.
    async fn count(&self, heard: u64) -> Result<(), HistoryError> {
        let today = day(Timestamp::now());
        let (position, spending) = self.history.spent(today).await?;
        if position <= heard {
            self.purses.count(today, spending);
        }
        Ok(())
    }
}

/// A history that fails is a refusal to whoever asked.
pub(crate) fn refused(error: &HistoryError) -> Refusal {
    let kind = match error {
        HistoryError::Full { .. } => RefusalKind::StorageFull,
        _ => RefusalKind::Internal,
    };
    Refusal::new(kind, format!("the history: {error}")).with_help("the ledger has everything; `nexus doctor`")
}
