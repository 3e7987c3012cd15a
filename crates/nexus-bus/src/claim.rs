//! A claim: one attempt's right to write what happens to a task, fenced by the sequence of its last event.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::Subject;
use jiff::Timestamp;
use nexus_core::event::{Event, What};
use nexus_core::id::{AgentName, NodeId, WorkerName};
use nexus_core::task::QueueEntry;

use crate::bus::Bus;
use crate::error::{BusError, unreachable};
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
    pub resumed: bool,
    delivery: Subject,
    last: AtomicU64,
}

/// What a refused write turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fence {
    /// A cancel was asked for; the claim still holds, and now stands behind that event.
    CancelRequested(String),
    /// Somebody else owns the task, or it has ended.
    Lost,
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
        let delivery = delivery.ack.clone();
        let resumed = expect > 0;
        Ok((Self { bus, entry, node, worker, agent, resumed, delivery, last: AtomicU64::new(seq) }, seq))
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

    /// Writes the attempt's last event and ends the delivery.
    pub async fn conclude(&self, what: What, now: Timestamp) -> Result<u64, BusError> {
        let event = self.event(what, now);
        let seq = self.bus.append(&event, self.last(), self.entry.task.traceparent.as_deref()).await?;
        self.end_delivery(seq).await;
        Ok(seq)
    }

    /// Writes a failed attempt and schedules the next one.
    pub async fn conclude_and_retry(&self, what: What, at: Timestamp, now: Timestamp) -> Result<u64, BusError> {
        let next = QueueEntry { attempt: self.entry.attempt + 1, queued_at: now, ..self.entry.clone() };
        let seq = self.bus.append_and_schedule(&self.event(what, now), self.last(), &next, at).await?;
        self.end_delivery(seq).await;
        Ok(seq)
    }

    /// Gives the task back to the queue; no attempt is used up.
    pub async fn requeue(&self, reason: &str, now: Timestamp) -> Result<u64, BusError> {
        let event = self.event(What::Interrupted { reason: reason.to_owned() }, now);
        let next = interrupted(&self.entry, now);
        let seq = self.bus.append_and_queue(&event, self.last(), &next).await?;
        self.end_delivery(seq).await;
        Ok(seq)
    }

    /// After a refused write (or a signal): what has been written in our place?
    pub async fn look(&self) -> Result<Option<Fence>, BusError> {
        let Some(last) = self.bus.last_event(self.entry.task.id).await? else { return Ok(Some(Fence::Lost)) };
        if last.seq == self.last() {
            return Ok(None);
        }
        match last.event.what {
            What::CancelRequested { reason } if last.event.attempt == self.entry.attempt => {
                self.last.store(last.seq, Ordering::Release);
                Ok(Some(Fence::CancelRequested(reason)))
            }
            _ => Ok(Some(Fence::Lost)),
        }
    }

    fn event(&self, what: What, now: Timestamp) -> Event {
        let task = &self.entry.task;
        Event::new(task.id, task.department.clone(), self.entry.attempt, now, what)
    }

    fn last(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }

    async fn end_delivery(&self, seq: u64) {
        self.last.store(seq, Ordering::Release);
        self.bus.end_delivery(&self.delivery).await;
    }
}

/// The queue entry that follows an interruption.
pub(crate) fn interrupted(entry: &QueueEntry, now: Timestamp) -> QueueEntry {
    QueueEntry { interruptions: entry.interruptions + 1, queued_at: now, ..entry.clone() }
}

impl Bus {
    /// Requeues an attempt whose holder is known to be gone. Returns the event's sequence; `None`: it wasn't there
    /// to requeue any more.
    pub async fn requeue_orphan(
        &self,
        last: &crate::ledger::Last,
        reason: &str,
        now: Timestamp,
    ) -> Result<Option<u64>, BusError> {
        let task = last.event.task_id;
        let Some(entry) = self.last_entry(task).await? else { return Ok(None) };
        let delivery = match &last.event.what {
            What::Started { delivery, .. } => Some(delivery.clone()),
            _ => None,
        };
        let department = last.event.department.clone();
        let reason = reason.to_owned();
        // A cancel that its holder didn't live to carry out is carried out now: no process of it is alive.
        let result = if let What::CancelRequested { reason } = &last.event.what {
            let what = What::Cancelled { reason: reason.clone(), outcome: None };
            let event = Event::new(task, department, last.event.attempt, now, what);
            self.append(&event, last.seq, entry.task.traceparent.as_deref()).await
        } else {
            let event = Event::new(task, department, last.event.attempt, now, What::Interrupted { reason });
            self.append_and_queue(&event, last.seq, &interrupted(&entry, now)).await
        };
        match result {
            Ok(seq) => {
                if let Some(delivery) = delivery {
                    self.end_delivery(&delivery).await;
                }
                Ok(Some(seq))
            }
            Err(BusError::Conflict) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
