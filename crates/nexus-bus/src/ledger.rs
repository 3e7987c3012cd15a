//! The ledger: work is submitted, events follow one another by compare-and-set, and the last one is the truth.

use std::borrow::Cow;

use jiff::Timestamp;
use nexus_core::due::LATEST;
use nexus_core::event::{Event, What};
use nexus_core::id::TaskId;
use nexus_core::lane::Lane;
use nexus_core::revival::{later, unqueued};
use nexus_core::task::{QueueEntry, Task};
use nexus_core::view::{TaskView, fold};

use crate::bus::Bus;
use crate::envelope::cloud_event;
use crate::error::{BusError, unreachable};
use crate::publish::Outgoing;
use crate::subject;
use crate::tail::record;

/// Records of one task that are read at a time: it has a handful.
const PAGE: usize = 64;

/// Looks at a task's newest entry that changes under our hands.
const LOOKS: u32 = 10;

/// The outcome of a submission.
#[derive(Clone, Debug, PartialEq)]
pub enum Submitted {
    /// It is on the ledger, at this sequence.
    New(u64),
    /// The same id had been submitted before: this is that task.
    Known(Box<Task>),
}

/// An event and its sequence: what the next event of the task has to expect.
#[derive(Clone, Debug, PartialEq)]
pub struct Last {
    pub event: Event,
    pub seq: u64,
}

impl Bus {
    /// Puts a task on the queue of its department, once and for ever: the same id again is [`Submitted::Known`].
    pub async fn submit(&self, entry: &QueueEntry) -> Result<Submitted, BusError> {
        let id = entry.task.id;
        let lane = entry.task.priority.into();
        let delayed = entry.task.not_before.filter(|due| *due > entry.queued_at);
        let message = match delayed {
            Some(due) => {
                // No entry is there to be expected yet: what else is known of the task would be an earlier submission.
                if let Some(task) = Box::pin(self.known(id)).await? {
                    return Ok(Submitted::Known(Box::new(task)));
                }
                scheduled(queue_message(entry, lane)?, id, due).expecting(&subject::any_queue(id), 0)
            }
            None => first_message(entry)?,
        };
        self.check_entry(message.payload.len())?;
        match self.publish(&message).await {
            Ok(seq) => {
                self.wake(&entry.task.department, lane).await;
                Ok(Submitted::New(seq))
            }
            Err(BusError::Conflict) => {
                let task = Box::pin(self.known(id)).await?.ok_or(BusError::Conflict)?;
                Ok(Submitted::Known(Box::new(task)))
            }
            Err(error) => Err(error),
        }
    }

    /// The submission of a task that waits, is due later, or was there before.
    pub async fn known(&self, id: TaskId) -> Result<Option<Task>, BusError> {
        Ok(self.last_entry(id).await?.map(|entry| entry.task))
    }

    /// The sequence of the ledger's last record of a task; 0 when there is none.
    pub async fn ledger_end(&self) -> Result<u64, BusError> {
        let mut end = 0;
        for all in [subject::ALL_QUEUES, subject::ALL_EVENTS, subject::ALL_SCHEDULES] {
            end = end.max(self.last(subject::TASKS, all).await?.map_or(0, |stored| stored.seq));
        }
        Ok(end)
    }

    /// The state of a task, read from the ledger alone: slower than a history, and never behind.
    pub async fn view(&self, task: TaskId) -> Result<Option<TaskView>, BusError> {
        let mut records = Vec::new();
        for pattern in [subject::any_queue(task), subject::schedule(task), subject::any_event(task)] {
            let (mut from, mut more) = (1, true);
            while more {
                let (stored, rest) = self.read(subject::TASKS, &pattern, from, PAGE).await?;
                more = rest && !stored.is_empty();
                for stored in &stored {
                    from = stored.seq + 1;
                    records.push((stored.seq, record(&stored.subject, stored.seq, &stored.payload)?));
                }
            }
        }
        records.sort_by_key(|(seq, _)| *seq);
        Ok(records.iter().fold(None, |view, (_, record)| fold(view, record)))
    }

    /// The last event of a task, if anything has happened to it yet.
    pub async fn last_event(&self, task: TaskId) -> Result<Option<Last>, BusError> {
        let Some(stored) = self.last(subject::TASKS, &subject::any_event(task)).await? else { return Ok(None) };
        Ok(Some(Last { seq: stored.seq, event: stored.decode()? }))
    }

    /// The newest queue entry of a task; of one that was never due, the entry that waits on its schedule.
    pub async fn last_entry(&self, task: TaskId) -> Result<Option<QueueEntry>, BusError> {
        for pattern in [subject::any_queue(task), subject::schedule(task)] {
            if let Some(stored) = self.last(subject::TASKS, &pattern).await? {
                return stored.decode().map(Some);
            }
        }
        Ok(None)
    }

    /// Publishes an event that expects the task's last one to have the sequence `expect` (0: none); returns its own.
    pub async fn append(&self, event: &Event, expect: u64, traceparent: Option<&str>) -> Result<u64, BusError> {
        self.publish(&self.fenced(self.fitting_event(event, traceparent)?, expect)).await
    }

    /// The same, of a task that waits and ends by that. Where only a schedule holds what was asked for, that is queued before the
    /// event, both or neither: it would be published behind it otherwise, and stand there as what follows from nothing.
    pub async fn append_last(&self, event: &Event, expect: u64) -> Result<u64, BusError> {
        let task = event.task_id;
        let fenced = self.fenced(self.fitting_event(event, None)?, expect);
        if self.last(subject::TASKS, &subject::any_queue(task)).await?.is_none()
            && let Some(stored) = self.last(subject::TASKS, &subject::schedule(task)).await?
        {
            let entry: QueueEntry = stored.decode()?;
            let queued = queue_message(&entry, entry.task.priority.into())?;
            return self.publish_all(subject::TASKS, &[queued, fenced]).await;
        }
        self.publish(&fenced).await
    }

    /// As [`Bus::append`], and a queue entry with it, atomically (and so at the next sequence): the task is back in the queue, before
    /// all others when it was interrupted. Returns the event's sequence.
    pub async fn append_and_queue(&self, event: &Event, expect: u64, entry: &QueueEntry) -> Result<u64, BusError> {
        let lane = Lane::after(&event.what, entry.task.priority);
        let event = self.fenced(self.fitting_event(event, entry.task.traceparent.as_deref())?, expect);
        let queued = queue_message(entry, lane)?;
        let seq = self.publish_all(subject::TASKS, &[event, queued]).await?;
        self.wake(&entry.task.department, lane).await;
        Ok(seq - 1)
    }

    /// Puts an entry on its queue that follows from the event at `after`, which is on the ledger already, unless one for that
    /// attempt is there that is newer than the event. `queued`: the subject and the sequence of the newest one that is known. Returns
    /// the sequence of what it wrote.
    pub(crate) async fn queue_behind(
        &self,
        entry: &QueueEntry,
        after: u64,
        queued: (&str, u64),
    ) -> Result<Option<u64>, BusError> {
        let (id, lane) = (entry.task.id, Lane::from(entry.task.priority));
        let message = queue_message(entry, lane)?;
        // A pattern costs the broker more; a task that was never interrupted has had one queue.
        let mut pattern = if message.subject == queued.0 { queued.0.to_owned() } else { subject::any_queue(id) };
        let mut over = queued.1;
        for _ in 0..LOOKS {
            match self.publish(&message.clone().expecting(&pattern, over)).await {
                Ok(seq) => {
                    self.wake(&entry.task.department, lane).await;
                    return Ok(Some(seq));
                }
                Err(BusError::Conflict) => {}
                Err(error) => return Err(error),
            }
            // Another one may be there that is no use: one that was on a schedule since before the task was retried by hand.
            pattern = subject::any_queue(id);
            let newest = self.last(subject::TASKS, &pattern).await?;
            over = newest.as_ref().map_or(0, |newest| newest.seq);
            if let Some(newest) = newest.filter(|newest| newest.seq > after)
                && newest.decode::<QueueEntry>()?.attempt == entry.attempt
            {
                return Ok(None);
            }
        }
        Err(BusError::Conflict)
    }

    /// Queues what follows an attempt that failed and goes on at once, if whoever wrote that has not lived to do it. `entry` is
    /// one that the attempt came from.
    pub async fn queue_next(&self, last: &Last, entry: &QueueEntry, now: Timestamp) -> Result<Option<u64>, BusError> {
        let Some(next) = unqueued(&last.event, last.seq, entry, now) else { return Ok(None) };
        // Expecting none is refused, and then it is looked which is the newest.
        self.queue_behind(&next, last.seq, ("", 0)).await
    }

    /// The same, with a queue entry that comes due at `at`.
    pub async fn append_and_schedule(
        &self,
        event: &Event,
        expect: u64,
        entry: &QueueEntry,
        at: Timestamp,
    ) -> Result<u64, BusError> {
        let event = self.fenced(self.fitting_event(event, entry.task.traceparent.as_deref())?, expect);
        let due = scheduled(queue_message(entry, entry.task.priority.into())?, entry.task.id, at);
        let last = self.publish_all(subject::TASKS, &[event, due]).await?;
        Ok(last - 1)
    }

    /// Puts a task that waits on the queue of another department: all or nothing is written. `left` is the last event under its
    /// old department, whose last one there has the sequence `expect` (0: there is none); nothing can start it there any more.
    /// `came` is the first under the new one, and `entry` what waits from now on. Returns the sequence of `came`.
    pub async fn append_and_move(
        &self,
        (left, expect): (&Event, u64),
        came: &Event,
        entry: &QueueEntry,
    ) -> Result<u64, BusError> {
        let (task, traceparent) = (entry.task.id, entry.task.traceparent.as_deref());
        let subject = subject::event(&came.department, task);
        let before = self.last(subject::TASKS, &subject).await?.map_or(0, |stored| stored.seq);
        let left_event = self.fenced(self.fitting_event(left, traceparent)?, expect);
        let came = self.fenced(self.fitting_event(came, traceparent)?, before);
        let lane = Lane::from(entry.task.priority);
        let queued = match entry.task.not_before.filter(|due| *due > entry.queued_at) {
            Some(due) => scheduled(queue_message(entry, lane)?, task, due),
            None => queue_message(entry, lane)?,
        };
        let is_due = queued.subject != subject::schedule(task);
        let last = self.publish_all(subject::TASKS, &[left_event, came, queued]).await?;
        // What waited there is nobody's now.
        let stream = self.js.get_stream_no_info(subject::TASKS).await.map_err(unreachable)?;
        let mut old = vec![subject::queue_of(&left.department, task)];
        if is_due {
            old.push(subject::schedule(task));
            self.wake(&entry.task.department, lane).await;
        }
        for filter in old {
            if let Err(error) = stream.purge().filter(filter).await {
                tracing::warn!(%task, "what waited in {} could not be taken away: {error}", left.department);
            }
        }
        Ok(last - 1)
    }

    /// Lets a task wait that was about to be started, until then: both or neither is written. `entry` is what waits, and
    /// `expect` is the sequence of its last event (0: there is none). Returns the event's sequence.
    pub async fn put_off(
        &self,
        entry: &QueueEntry,
        expect: u64,
        reason: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<u64, BusError> {
        let what = What::Deferred { reason: reason.to_owned(), until: Some(until), run: None };
        let event = Event::new(entry.task.id, entry.task.department.clone(), entry.attempt, now, what);
        self.append_and_schedule(&event, expect, &later(entry, now), until).await
    }

    /// Refused unless the task's last event has this sequence.
    fn fenced(&self, event: Outgoing, expect: u64) -> Outgoing {
        if self.unfenced {
            return event;
        }
        let pattern = event.subject.clone();
        event.expecting(&pattern, expect)
    }

    /// Forgets a task: everything that the ledger, the logs and the dead letters hold of it.
    pub async fn purge(&self, task: TaskId) -> Result<(), BusError> {
        let filters = [
            (subject::TASKS, subject::schedule(task)),
            (subject::TASKS, subject::any_queue(task)),
            (subject::LOGS, subject::any_log(task)),
            (subject::LOGS, subject::any_prompt(task)),
            (subject::DEAD, subject::any_dead(task)),
            // The events last: while one is there, the task is known to have ended.
            (subject::TASKS, subject::any_event(task)),
        ];
        for (stream, filter) in filters {
            let stream = self.js.get_stream_no_info(stream).await.map_err(unreachable)?;
            stream.purge().filter(filter).await.map_err(unreachable)?;
        }
        Ok(())
    }

    /// Ends a delivery of the queue by the token that `started` keeps of it.
    pub async fn end_delivery(&self, delivery: &str) {
        if delivery.starts_with("$JS.ACK.")
            && let Err(error) = self.nats.publish(delivery.to_owned(), "+ACK".into()).await
        {
            // Not lost: it is delivered again, and then dropped by the ledger's last event.
            tracing::debug!("could not end a delivery: {error}");
        }
    }
}

/// The message that puts a new task on its queue, if the ledger holds none of that id.
///
/// Only a key can bring the same id a second time, and to another queue. A pattern costs the broker more than all else about a
/// submission; a random id is expected on its own subject, so that publishing it again stores it once.
pub(crate) fn first_message(entry: &QueueEntry) -> Result<Outgoing, BusError> {
    let (id, message) = (entry.task.id, queue_message(entry, entry.task.priority.into())?);
    let pattern = if id.is_keyed() { subject::any_queue(id) } else { message.subject.clone() };
    Ok(message.expecting(&pattern, 0))
}

/// A message that the broker publishes to its own subject at `at`, and at the latest that it can wait for where that is sooner.
fn scheduled(mut message: Outgoing, task: TaskId, at: Timestamp) -> Outgoing {
    message.headers.insert(async_nats::header::NATS_SCHEDULE, format!("@at {}", whole_seconds_up(at.min(LATEST))));
    message.headers.insert(async_nats::header::NATS_SCHEDULE_TARGET, message.subject.clone());
    Outgoing { subject: subject::schedule(task), ..message }
}

/// Schedules have a resolution of seconds: an earlier one than asked for would break a promise.
fn whole_seconds_up(at: Timestamp) -> Timestamp {
    let whole = at.as_second() + i64::from(at.subsec_nanosecond() > 0);
    Timestamp::from_second(whole).unwrap_or(at)
}

pub(crate) fn queue_message(entry: &QueueEntry, lane: Lane) -> Result<Outgoing, BusError> {
    let task = &entry.task;
    let subject = subject::queue(&task.department, lane, task.id);
    let id = task.id.to_string();
    outgoing(subject, "nexus.task.queued", &id, entry.queued_at, task.traceparent.as_deref(), entry)
}

pub(crate) fn event_message(event: &Event, traceparent: Option<&str>) -> Result<Outgoing, BusError> {
    let subject = subject::event(&event.department, event.task_id);
    let kind = format!("nexus.task.{}", event.what.name());
    outgoing(subject, kind, &event.task_id.to_string(), event.at, traceparent, event)
}

pub(crate) fn outgoing<T: serde::Serialize>(
    subject: String,
    kind: impl Into<Cow<'static, str>>,
    about: &str,
    at: Timestamp,
    traceparent: Option<&str>,
    payload: &T,
) -> Result<Outgoing, BusError> {
    let (headers, id) = cloud_event(kind, about, at, traceparent);
    let payload = serde_json::to_vec(payload).map_err(|error| BusError::Refused(error.to_string()))?;
    Ok(Outgoing { subject, payload: payload.into(), headers, id })
}
