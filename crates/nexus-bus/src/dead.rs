//! Dead letters of tasks: one for each task that has failed for good, by compare-and-set, until it is retried.

use std::collections::VecDeque;

use async_nats::HeaderName;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::GetStreamErrorKind;
use nexus_core::api::DeadLetter;
use nexus_core::dead::{DeadTask, MAX_HISTORY, shorten};
use nexus_core::event::{Event, What};
use nexus_core::id::{DepartmentName, TaskId};
use nexus_core::task::STORED_VERSION;
use serde::Serialize;

use crate::bus::Bus;
use crate::error::{BusError, unreachable};
use crate::ledger::{Last, outgoing};
use crate::read::Stored;
use crate::subject;

/// The header that says which event of the ledger a letter is about: its sequence.
const ABOUT: &str = "Nexus-Event-Sequence";
/// Looks at a letter that others write at the same time: one is enough, unless the task fails once more meanwhile.
const TRIES: u32 = 3;
/// Events that are read at once: each has 40 KiB at most, as a rule.
const PAGE: usize = 64;

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Dead {
    /// A publication that could not become work.
    Letter(DeadLetter),
    /// A task that has failed for good.
    Task(Box<DeadTask>),
}

impl Dead {
    fn of(stored: &Stored) -> Result<Self, BusError> {
        // Only a task's letter says which event it is about.
        if stored.header(ABOUT).is_some() {
            return stored.decode().map(Box::new).map(Self::Task);
        }
        stored.decode().map(Self::Letter)
    }
}

impl Bus {
    /// The newest dead letters, at most `limit`, the oldest of them first. What can't be read is left out.
    pub async fn dead(&self, limit: usize) -> Result<Vec<Dead>, BusError> {
        let (mut newest, mut from) = (VecDeque::new(), 1);
        loop {
            let (page, more) = self.read(subject::DEAD, subject::ALL_DEAD, from, PAGE).await?;
            for stored in &page {
                from = stored.seq + 1;
                match Dead::of(stored) {
                    Ok(letter) => newest.push_back(letter),
                    Err(error) => tracing::warn!("a dead letter is left out: {error}"),
                }
                if newest.len() > limit {
                    newest.pop_front();
                }
            }
            if !more || page.is_empty() {
                return Ok(newest.into());
            }
        }
    }

    /// Keeps a task that has failed for good, with its history, under `nexus.dead.<department>.<task>`; once, whoever
    /// else does it and however often it is done. Returns whether there was something to do: not where the task has gone on
    /// since that event, or is forgotten.
    pub async fn bury_task(&self, failed: &Last) -> Result<bool, BusError> {
        let (id, department) = (failed.event.task_id, &failed.event.department);
        let What::Failed { failure, .. } = &failed.event.what else { return Ok(false) };
        let subject = subject::dead(department.as_str(), &id.to_string());
        for _ in 0..TRIES {
            let (about, expect) = self.letter(&subject).await?.unwrap_or_default();
            if about >= failed.seq {
                return Ok(false);
            }
            let Some(entry) = self.last_entry(id).await? else { return Ok(false) };
            let traceparent = entry.task.traceparent.clone();
            let mut letter = DeadTask {
                v: STORED_VERSION,
                task: entry.task,
                failure: failure.clone(),
                attempts: failed.event.attempt,
                history: Vec::new(),
                left_out: 0,
                at: failed.event.at,
            };
            // The task came in one message itself: the history has what that has left of another one.
            let rest = serde_json::to_vec(&letter).map_or(0, |json| json.len());
            let limit = MAX_HISTORY.min(self.payload_limit().saturating_sub(rest));
            let Some((history, left_out)) = self.history(failed, limit).await? else { return Ok(false) };
            (letter.history, letter.left_out) = (history, left_out);
            let kind = "nexus.dead.task";
            let message = outgoing(subject.clone(), kind, &id.to_string(), letter.at, traceparent.as_deref(), &letter)?;
            let mut message = message.expecting(&subject, expect);
            message.headers.insert(HeaderName::from_static(ABOUT), failed.seq.to_string());
            match self.publish(&message).await {
                Ok(_) => return Ok(true),
                Err(BusError::Conflict) => {}
                Err(error) => return Err(self.unless_deleted(error).await),
            }
        }
        Err(BusError::Conflict)
    }

    /// Takes away the dead letter of a task that has been put back on the queue by the event with the sequence `seq`; one
    /// of a later failure stays.
    pub async fn exhume_task(&self, department: &DepartmentName, task: TaskId, seq: u64) -> Result<(), BusError> {
        let subject = subject::dead(department.as_str(), &task.to_string());
        match self.letter(&subject).await? {
            Some((about, at)) if about < seq => {
                let stream = self.js.get_stream_no_info(subject::DEAD).await.map_err(unreachable)?;
                stream.purge().sequence(at + 1).filter(subject).await.map(drop).map_err(unreachable)
            }
            _ => Ok(()),
        }
    }

    /// The event that the letter is about, and the letter's own sequence.
    async fn letter(&self, subject: &str) -> Result<Option<(u64, u64)>, BusError> {
        match self.last(subject::DEAD, subject).await {
            Ok(letter) => Ok(letter.map(|stored| {
                let about = stored.header(ABOUT).and_then(|seq| seq.parse().ok()).unwrap_or_default();
                (about, stored.seq)
            })),
            Err(error) => Err(self.unless_deleted(error).await),
        }
    }

    /// A task's events up to the one with which it failed, and how many found no room; none if that isn't the last.
    async fn history(&self, failed: &Last, limit: usize) -> Result<Option<(Vec<Event>, u64)>, BusError> {
        let subject = subject::event(&failed.event.department, failed.event.task_id);
        let (mut history, mut left_out, mut last) = (Vec::new(), 0, 0);
        loop {
            let (page, more) = self.read(subject::TASKS, &subject, last + 1, PAGE).await?;
            for stored in &page {
                last = stored.seq;
                match stored.decode() {
                    Ok(event) => history.push(event),
                    Err(error) => {
                        left_out += 1;
                        tracing::warn!("left out of a dead letter: {error}");
                    }
                }
            }
            left_out += shorten(&mut history, limit);
            if !more || page.is_empty() {
                return Ok((last == failed.seq).then_some((history, left_out)));
            }
        }
    }

    /// Nobody answers for a stream that somebody has deleted, which is nothing to wait for.
    async fn unless_deleted(&self, error: BusError) -> BusError {
        if matches!(error, BusError::Unreachable(_))
            && let Err(cause) = self.js.get_stream(subject::DEAD).await
            && let GetStreamErrorKind::JetStream(cause) = cause.kind()
            && cause.error_code() == ErrorCode::STREAM_NOT_FOUND
        {
            let (dead, why) = (subject::DEAD, "has been deleted; the next start of the company makes it anew");
            return BusError::Refused(format!("the stream {dead} {why}"));
        }
        error
    }
}
