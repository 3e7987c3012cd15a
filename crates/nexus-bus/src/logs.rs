//! Logs of tasks: written in chunks with a bounded number on the way, read in pages.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::jetstream::context::{PublishAckFuture, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use jiff::Timestamp;
use nexus_core::id::{DepartmentName, TaskId};
use nexus_core::log::{ChunkLine, LogChunk};

use crate::bus::Bus;
use crate::error::BusError;
use crate::fit::parts;
use crate::subject;

/// Writes the log of one attempt. Lines are numbered on from where the task's last attempt ended.
#[derive(Debug)]
pub struct LogWriter {
    bus: Bus,
    subject: String,
    task: TaskId,
    attempt: u32,
    next: u64,
    on_the_way: VecDeque<(Option<PublishAckFuture>, LogChunk)>,
    /// Lines whose storing was refused for good.
    lost: u64,
}

/// Chunks that are on their way to the broker at once; beyond it the agent's pipe has to wait. 32 chunks of about
/// 100 KiB are 3 MiB an attempt.
const WINDOW: usize = 32;
/// Longest wait between two tries to store a chunk.
const LONGEST: Duration = Duration::from_secs(2);

impl Bus {
    /// Begins the log of an attempt, behind so many lines of the task's; none: it is looked how many there are.
    pub async fn log_writer(
        &self,
        department: &DepartmentName,
        task: TaskId,
        attempt: u32,
        lines: Option<u64>,
    ) -> Result<LogWriter, BusError> {
        let next = match lines {
            Some(lines) => lines + 1,
            None => match self.last(subject::LOGS, &subject::any_log(task)).await? {
                Some(stored) => stored.decode::<LogChunk>()?.next(),
                None => 1,
            },
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
        for part in parts(lines, self.bus.payload_limit()) {
            let chunk = LogChunk::new(self.task, self.attempt, self.next, at, part);
            self.next = chunk.next();
            while self.on_the_way.len() >= WINDOW {
                self.confirm_oldest().await;
            }
            self.send(chunk).await;
        }
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
        // After one that has to be sent again: lines come in order.
        if self.on_the_way.back().is_some_and(|(ack, _)| ack.is_none()) {
            return self.on_the_way.push_back((None, chunk));
        }
        if let Some(publish) = self.message(&chunk) {
            match self.bus.js.send_publish(self.subject.clone(), publish).await {
                Ok(ack) => self.on_the_way.push_back((Some(ack), chunk)),
                Err(error) if is_final(error.kind()) => self.lose(&chunk, &error),
                // It is sent again when its turn comes.
                Err(_) => self.on_the_way.push_back((None, chunk)),
            }
        }
    }

    /// Waits until the oldest chunk is stored, however long the broker is away or its disk is full; what follows waits too,
    /// and with it, at last, the agent.
    async fn confirm_oldest(&mut self) {
        let Some((mut ack, chunk)) = self.on_the_way.pop_front() else { return };
        let mut pause = Duration::from_millis(100);
        loop {
            if ack.is_none() {
                let Some(publish) = self.message(&chunk) else { return };
                ack = self.bus.js.send_publish(self.subject.clone(), publish).await.ok();
            }
            let sent = match ack.take() {
                Some(ack) => ack.await.map(|_| ()),
                None => Err(PublishErrorKind::BrokenPipe.into()),
            };
            match sent {
                Ok(()) => return self.send_again().await,
                Err(error) if is_final(error.kind()) => return self.lose(&chunk, &error),
                Err(error) => tracing::debug!(task = %self.task, "a log chunk is not stored yet: {error}"),
            }
            // Unknown whether it is stored, or any that was sent after it: again under the same message ids, which the
            // stream deduplicates for a while, and readers by the numbers of the lines for ever.
            self.on_the_way.iter_mut().for_each(|(ack, _)| *ack = None);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// Sends what has to be sent again, until that fails.
    async fn send_again(&mut self) {
        for index in 0..self.on_the_way.len() {
            let Some((None, chunk)) = self.on_the_way.get(index) else { continue };
            let Some(publish) = self.message(chunk) else { return };
            let Ok(ack) = self.bus.js.send_publish(self.subject.clone(), publish).await else { return };
            self.on_the_way[index].0 = Some(ack);
        }
    }

    fn message(&self, chunk: &LogChunk) -> Option<PublishMessage> {
        let payload = serde_json::to_vec(chunk).ok()?;
        Some(PublishMessage::build().payload(payload.into()).message_id(format!("{}-{}", self.task, chunk.first)))
    }

    fn lose(&mut self, chunk: &LogChunk, error: &PublishError) {
        tracing::debug!(task = %self.task, "a log chunk can't be stored: {error}");
        self.lost += chunk.lines.len() as u64;
    }
}

/// Trying again won't help: the broker has refused it, and not for want of room or because it was being restarted.
fn is_final(kind: PublishErrorKind) -> bool {
    !matches!(
        kind,
        PublishErrorKind::TimedOut
            | PublishErrorKind::BrokenPipe
            | PublishErrorKind::StreamNotFound
            | PublishErrorKind::MaxAckPending
    )
}
