//! A claim: one attempt's right to write what happens to a task, fenced by the sequence of its last event.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_nats::Subject;
use jiff::Timestamp;
use nexus_core::event::{Event, Hold, What};
use nexus_core::fence::{Fence, fence};
use nexus_core::id::{AgentName, NodeId, WorkerName};
use nexus_core::revival::{Revival, again, later, once_more, revive};
use nexus_core::run::RunReport;
use nexus_core::task::QueueEntry;

use crate::bus::Bus;
use crate::error::{BusError, unreachable};
use crate::ledger::Last;
use crate::queue::Delivery;

/// The right to write events of one attempt. It ends with the first write of somebody else.
#[derive(Debug)]
pub struct Claim {
    bus: Bus,
    pub entry: QueueEntry,
    pub node: NodeId,
    pub worker: WorkerName,
    pub agent: AgentName,
    /// Something had happened to the task before: its log goes on where it ended.
    resumed: bool,
    began: Timestamp,
    delivery: Subject,
    /// Where its entry was queued, and its sequence there.
    queued: (String, u64),
    last: AtomicU64,
    /// Of the event that says that it failed and goes on at once, 0 without: the next entry is still to be queued.
    failed: AtomicU64,
    /// Lines in the task's log, once that is known.
    logged: OnceLock<u64>,
    /// A cancel is the task's last word.
    cancelled: AtomicBool,
}

impl Claim {
    /// Publishes `started`, expecting `expect` to be the task's last event, and returns its sequence too.
    /// [`BusError::Conflict`]: somebody was first.
    pub async fn start(
        bus: Bus,
        delivery: &Delivery,
        entry: QueueEntry,
        expect: u64,
        (node, worker, agent): (NodeId, WorkerName, AgentName),
        now: Timestamp,
    ) -> Result<(Self, u64), BusError> {
        let what = What::Started {
            node: node.clone(),
            worker: worker.clone(),
            agent: agent.clone(),
            delivery: delivery.ack.to_string(),
        };
        let event = Event::new(entry.task.id, entry.task.department.clone(), entry.attempt, now, what);
        let seq = bus.append(&event, expect, entry.task.traceparent.as_deref()).await?;
        let queued = (delivery.subject.clone(), delivery.seq());
        let delivery = delivery.ack.clone();
        let resumed = expect > 0;
        Ok((
            Self {
                bus,
                entry,
                node,
                worker,
                agent,
                resumed,
                began: now,
                delivery,
                queued,
                last: AtomicU64::new(seq),
                failed: AtomicU64::new(0),
                logged: OnceLock::new(),
                cancelled: AtomicBool::new(false),
            },
            seq,
        ))
    }

    /// Lines that its task's log has now, to which nobody adds any more.
    pub fn logged(&self, lines: u64) {
        let _ = self.logged.set(lines);
    }

    /// Lines that its task's log had when it began; none: that isn't known.
    #[must_use]
    pub const fn began_behind(&self) -> Option<u64> {
        if self.resumed { self.entry.logged } else { Some(0) }
    }

    /// Something had happened to the task before: an earlier attempt, or its return to the queue.
    #[must_use]
    pub const fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Renews the lease; `Ok` means that the broker has confirmed it within `limit`.
    pub async fn renew(&self, limit: Duration) -> Result<(), BusError> {
        let renewal = self.bus.nats.request(self.delivery.clone(), "+WPI".into());
        match tokio::time::timeout(limit, renewal).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(unreachable(error)),
            Err(_) => Err(unreachable(format!("no confirmation within {limit:?}"))),
        }
    }

    /// Writes the attempt's last event and ends the delivery. The claim is spent by it, as by every end below: it still
    /// expects the event before, so whoever else holds it (a supervisor whose worker failed just then) is refused.
    pub async fn conclude(&self, what: What, now: Timestamp) -> Result<u64, BusError> {
        let event = self.event(what, now);
        let seq = self.bus.append(&event, self.last(), self.entry.task.traceparent.as_deref()).await?;
        self.bus.end_delivery(&self.delivery).await;
        Ok(seq)
    }

    /// Writes a failed attempt and schedules the next one; what is due at once waits for no schedule, whose clock knows whole
    /// seconds only. Returns the sequence of the last record that it wrote, as those below do.
    pub async fn conclude_and_retry(
        &self,
        what: What,
        run: Option<&RunReport>,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<u64, BusError> {
        let logged = self.logged.get().copied();
        let next = QueueEntry { logged, ..once_more(&self.left(run, now), now) };
        let event = self.event(what, now);
        let at_once = event.goes_on_at_once() || self.failed.load(Ordering::Acquire) > 0;
        let seq = match at_once {
            true => self.append_then_queue(&event, next).await?,
            false => self.bus.append_and_schedule(&event, self.last(), &next, at).await? + 1,
        };
        self.bus.end_delivery(&self.delivery).await;
        Ok(seq)
    }

    /// Writes the event, and then the entry that follows from it (docs/decisions/0017). A batch of both costs the broker several
    /// writes that wait for the disk, ten times as much. Between the two nothing is lost: the delivery is ended after both, and
    /// whoever is brought it again queues what is missing ([`Bus::queue_next`]).
    async fn append_then_queue(&self, event: &Event, next: QueueEntry) -> Result<u64, BusError> {
        let failed = match self.failed.load(Ordering::Acquire) {
            0 => self.bus.append(event, self.last(), self.entry.task.traceparent.as_deref()).await?,
            failed => failed,
        };
        self.failed.store(failed, Ordering::Release);
        let next = QueueEntry { after: Some(failed), ..next };
        let (subject, over) = &self.queued;
        // None: it was queued already, as this one's first try was heard, or the delivery was brought to somebody else.
        Ok(self.bus.queue_behind(&next, failed, (subject, *over)).await?.unwrap_or(failed))
    }

    /// Writes what the agent's run has come to; the claim goes on behind that. Not once a cancel was asked for: that has to
    /// stay the last word, for whoever finds the task without its holder.
    pub async fn progress(&self, run: RunReport, now: Timestamp) -> Result<u64, BusError> {
        if self.cancelled.load(Ordering::Acquire) {
            return Err(BusError::Conflict);
        }
        let of = Hold { node: self.node.clone(), delivery: self.delivery.to_string() };
        let ran_ms = u64::try_from(self.ran(now).as_millis()).unwrap_or(u64::MAX);
        let event = self.event(What::Progressed { of, agent: self.agent.clone(), run, ran_ms }, now);
        let seq = self.bus.append(&event, self.last(), self.entry.task.traceparent.as_deref()).await?;
        self.last.store(seq, Ordering::Release);
        Ok(seq)
    }

    /// Gives the task back to the queue; no attempt is used up. `run` is what its agent's run had come to.
    pub async fn requeue(&self, reason: &str, run: Option<&RunReport>, now: Timestamp) -> Result<u64, BusError> {
        let event = self.event(What::Interrupted { reason: reason.to_owned(), run: run.cloned() }, now);
        let next = again(&self.left(run, now), now);
        let seq = self.bus.append_and_queue(&event, self.last(), &next).await?;
        self.bus.end_delivery(&self.delivery).await;
        Ok(seq + 1)
    }

    /// Lets the task wait, until then or until its department can go on; nothing is counted.
    pub async fn defer(
        &self,
        reason: &str,
        until: Option<Timestamp>,
        run: Option<&RunReport>,
        now: Timestamp,
    ) -> Result<u64, BusError> {
        let event = self.event(What::Deferred { reason: reason.to_owned(), until, run: run.cloned() }, now);
        let next = later(&self.left(run, now), now);
        let seq = match until {
            Some(at) => self.bus.append_and_schedule(&event, self.last(), &next, at).await?,
            None => self.bus.append_and_queue(&event, self.last(), &next).await?,
        };
        self.bus.end_delivery(&self.delivery).await;
        Ok(seq + 1)
    }

    /// After a refused write: what has been written in our place? Behind a cancel that was asked for, the claim goes on.
    pub async fn look(&self) -> Result<Option<Fence>, BusError> {
        let (found, seq) = self.found().await?;
        if let Some(Fence::CancelRequested(_)) = &found {
            self.cancelled.store(true, Ordering::Release);
        }
        if let Some(Fence::CancelRequested(_) | Fence::Own) = &found {
            self.last.store(seq, Ordering::Release);
        }
        Ok(found)
    }

    /// The same, and the claim stays where it is.
    pub async fn peek(&self) -> Result<Option<Fence>, BusError> {
        self.found().await.map(|(found, _)| found)
    }

    async fn found(&self) -> Result<(Option<Fence>, u64), BusError> {
        let last = match self.bus.last_event(self.entry.task.id).await {
            // Nobody but another node, a newer one, can have written that.
            Err(BusError::Newer { .. }) => return Ok((Some(Fence::Lost), 0)),
            last => last?,
        };
        let seen = last.as_ref().map(|last| (&last.event, last.seq));
        Ok((fence(self.last(), &self.delivery, seen), last.as_ref().map_or(0, |last| last.seq)))
    }

    /// Where the claim is lost to a failure that goes on at once, it may be its own, whose answer was lost: then what follows is
    /// still to be queued, and waits for the lease to lapse otherwise. Returns the sequence of what it wrote.
    pub async fn queue_next(&self, now: Timestamp) -> Result<Option<u64>, BusError> {
        match self.bus.last_event(self.entry.task.id).await? {
            Some(last) => self.bus.queue_next(&last, &self.entry, now).await,
            None => Ok(None),
        }
    }

    /// The task as this attempt leaves it.
    fn left(&self, run: Option<&RunReport>, now: Timestamp) -> QueueEntry {
        self.entry.leaving(&self.node, &self.agent, run, self.ran(now))
    }

    /// For how long the attempt has run. A clock that was set back counts as no time.
    fn ran(&self, now: Timestamp) -> Duration {
        now.duration_since(self.began).try_into().unwrap_or_default()
    }

    fn event(&self, what: What, now: Timestamp) -> Event {
        let task = &self.entry.task;
        Event::new(task.id, task.department.clone(), self.entry.attempt, now, what)
    }

    fn last(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }
}

impl Bus {
    /// Requeues (or ends, see [`revive`]) an attempt whose holder is known to be gone. Returns the sequences of
    /// the event and of the last record that was written with it; `None`: it wasn't there to requeue any more.
    pub async fn requeue_orphan(
        &self,
        last: &Last,
        reason: &str,
        now: Timestamp,
    ) -> Result<Option<(u64, u64)>, BusError> {
        let Some(entry) = self.last_entry(last.event.task_id).await? else { return Ok(None) };
        let Some(Revival { event, entry: next }) = revive(&last.event, &entry, reason, now) else { return Ok(None) };
        let result = match next {
            Some(next) => self.append_and_queue(&event, last.seq, &next).await.map(|seq| (seq, seq + 1)),
            None => self.append(&event, last.seq, entry.task.traceparent.as_deref()).await.map(|seq| (seq, seq)),
        };
        match result {
            Ok(written) => {
                if let Some(delivery) = last.event.what.delivery() {
                    self.end_delivery(delivery).await;
                }
                Ok(Some(written))
            }
            Err(BusError::Conflict) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
