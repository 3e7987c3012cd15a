//! Logs of tasks: written in chunks with a bounded number on the way, read in pages.

use std::collections::VecDeque;

use async_nats::jetstream::context::PublishAckFuture;
use async_nats::jetstream::message::PublishMessage;
use jiff::Timestamp;
use nexus_core::id::{DepartmentName, TaskId};
use nexus_core::log::{ChunkLine, LogChunk};

use crate::bus::Bus;
use crate::error::{BusError, unreachable};
use crate::subject;

/// Writes the log of one attempt. Lines are numbered on from where the task's last attempt ended.
#[derive(Debug)]
pub struct LogWriter {
    bus: Bus,
    subject: String,
    task: TaskId,
    attempt: u32,
    next: u64,
    on_the_way: VecDeque<(PublishAckFuture, LogChunk)>,
    /// Lines whose storing was refused for good: said once, in the log itself.
    lost: u64,
}

/// Chunks that are on their way to the broker at once; beyond it the agent's pipe has to wait. 32 chunks of about
/// 100 KiB are 3 MiB an attempt.
const WINDOW: usize = 32;

impl Bus {
    /// Begins the log of an attempt.
    pub async fn log_writer(
        &self,
        department: &DepartmentName,
        task: TaskId,
        attempt: u32,
        resumed: bool,
    ) -> Result<LogWriter, BusError> {
        let last = if resumed { self.last(subject::LOGS, &subject::any_log(task)).await? } else { None };
        let next = match last {
            Some(stored) => stored.decode::<LogChunk>()?.next(),
            None => 1,
        };
        Ok(LogWriter {
            bus: self.clone(),
            subject: subject::log(department, task),
            task,
            attempt,
            next,
            on_the_way: VecDeque::new(),
            lost: 0,
        })
    }

    /// Chunks of a task's log from stream sequence `from` on, each with its sequence, and whether more follow.
    pub(crate) async fn log_chunks(
        &self,
        task: TaskId,
        from: u64,
        limit: usize,
    ) -> Result<(Vec<(u64, LogChunk)>, bool), BusError> {
        let (stored, more) = self.read(subject::LOGS, &subject::any_log(task), from, limit).await?;
        let chunks =
            stored.iter().map(|message| Ok((message.seq, message.decode()?))).collect::<Result<_, BusError>>()?;
        Ok((chunks, more))
    }
}

impl LogWriter {
    /// The number of the last line written, 0 when there is none.
    #[must_use]
    pub const fn lines(&self) -> u64 {
        self.next - 1
    }

    /// Sends lines on their way. Waits while too many are: so a slow broker slows the agent down, and loses nothing.
    pub async fn write(&mut self, lines: Vec<ChunkLine>, at: Timestamp) {
        if lines.is_empty() {
            return;
        }
        let chunk = LogChunk::new(self.task, self.attempt, self.next, at, lines);
        self.next = chunk.next();
        while self.on_the_way.len() >= WINDOW {
            self.confirm_oldest().await;
        }
        self.send(chunk).await;
    }

    /// Waits until everything that was written is stored.
    pub async fn finish(&mut self) {
        while !self.on_the_way.is_empty() {
            self.confirm_oldest().await;
        }
        if self.lost > 0 {
            tracing::warn!(task = %self.task, lines = self.lost, "log lines could not be stored");
        }
    }

    async fn send(&mut self, chunk: LogChunk) {
        let Ok(payload) = serde_json::to_vec(&chunk) else { return };
        let publish =
            PublishMessage::build().payload(payload.into()).message_id(format!("{}-{}", self.task, chunk.first));
        match self.bus.js.send_publish(self.subject.clone(), publish).await {
            Ok(ack) => self.on_the_way.push_back((ack, chunk)),
            Err(error) => {
                tracing::debug!("a log chunk was not sent: {error}");
                self.lost += chunk.lines.len() as u64;
            }
        }
    }

    async fn confirm_oldest(&mut self) {
        let Some((ack, chunk)) = self.on_the_way.pop_front() else { return };
        if ack.await.is_ok() {
            return;
        }
        // Unknown whether it is stored: once more under the same message id, which the stream deduplicates.
        let Ok(payload) = serde_json::to_vec(&chunk) else { return };
        let publish =
            PublishMessage::build().payload(payload.into()).message_id(format!("{}-{}", self.task, chunk.first));
        let stored = match self.bus.js.send_publish(self.subject.clone(), publish).await {
            Ok(ack) => ack.await.map(|_| ()).map_err(unreachable),
            Err(error) => Err(unreachable(error)),
        };
        if let Err(error) = stored {
            tracing::debug!("a log chunk was not stored: {error}");
            self.lost += chunk.lines.len() as u64;
        }
    }
}
