//! Following a task live: its events, its log, and its end.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::Subscriber;
use futures_util::{Stream, StreamExt};
use nexus_core::api::TaskStatus;
use nexus_core::event::{Event, What};
use nexus_core::id::TaskId;
use nexus_core::log::{LogChunk, LogLine};
use nexus_core::refusal::{Refusal, RefusalKind};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::Client;
use crate::bus::Bus;
use crate::error::{BusError, unreachable};
use crate::read::{LOOK_AGAIN, decode};
use crate::subject;

/// Events a follower may be behind.
const EVENTS_BEHIND: usize = 1024;
/// Lines a follower may be behind; past that the reading waits, and catches up from the stream.
const LINES_BEHIND: usize = 1024;
/// Chunks read at a time.
const CHUNKS: usize = 64;

pub(super) async fn events(bus: &Bus, task: Option<TaskId>) -> Result<mpsc::Receiver<Event>, Refusal> {
    let mut live = live_events(bus, task).await?;
    let (sender, receiver) = mpsc::channel(EVENTS_BEHIND);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                event = live.next() => match event {
                    Some(event) => if sender.send(event).await.is_err() { return },
                    None => return,
                },
                () = sender.closed() => return,
            }
        }
    });
    Ok(receiver)
}

/// Events read from the ledger at a time.
const EVENTS: usize = 256;

/// The newest events of one task or of all, the oldest of them first.
pub(super) async fn past(bus: &Bus, task: Option<TaskId>, limit: usize) -> Result<Vec<Event>, Refusal> {
    let pattern = task.map_or_else(|| subject::ALL_EVENTS.to_owned(), subject::any_event);
    let mut span = limit as u64 * 4;
    let end = bus.last(subject::TASKS, &pattern).await?.map_or(0, |last| last.seq);
    loop {
        // A task's events are few, wherever they are; of all events, the newest lie close to the end.
        let from = if task.is_some() { 0 } else { end.saturating_sub(span) };
        let mut events: VecDeque<Event> = VecDeque::new();
        let mut seq = from;
        loop {
            let (stored, more) = bus.read(subject::TASKS, &pattern, seq, EVENTS).await?;
            for message in &stored {
                seq = message.seq + 1;
                match message.decode::<Event>() {
                    Ok(event) => events.push_back(event),
                    Err(BusError::Unreadable { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
                if events.len() > limit {
                    events.pop_front();
                }
            }
            if !more || stored.is_empty() {
                break;
            }
        }
        if events.len() >= limit || from == 0 {
            return Ok(events.into());
        }
        span = span.saturating_mul(8);
    }
}

async fn live_events(bus: &Bus, task: Option<TaskId>) -> Result<impl Stream<Item = Event> + Unpin + use<>, BusError> {
    let subject = task.map_or_else(|| subject::ALL_EVENTS.to_owned(), subject::any_event);
    let messages = bus.nats.subscribe(subject).await.map_err(unreachable)?;
    // The broker has the subscription before anything is asked of it: no event falls in between.
    bus.flush().await;
    Ok(Box::pin(messages.filter_map(|message| async move {
        let event = decode(&message.subject, 0, &message.payload);
        event.inspect_err(|error| tracing::warn!("left out: {error}")).ok()
    })))
}

/// The number of further looks for lines that a task that has ended had written, and the stream doesn't hold (any more).
const BEHIND: u32 = 5;

/// The time from a terminal event that was seen until the history is asked again.
const FIRST_LOOK: Duration = Duration::from_millis(5);

pub(super) async fn wait(client: &Client, task: &str, limit: Option<Duration>) -> Result<TaskStatus, Refusal> {
    let deadline = limit.map(|limit| Instant::now() + limit);
    let task_id = still(client, task, deadline).await?.task.task_id;
    let mut live = live_events(&client.bus, Some(task_id)).await?;
    let id = task_id.to_string();
    let mut look_after = LOOK_AGAIN;
    loop {
        let status = still(client, &id, deadline).await?;
        if status.task.status.is_terminal() {
            return Ok(status);
        }
        let look = Instant::now() + look_after;
        let until = deadline.map_or(look, |deadline| deadline.min(look));
        loop {
            match timeout_at(until, live.next()).await {
                // The history may not know yet: ask again soon, and ever less often.
                Ok(Some(event)) if event.what.is_terminal() => {
                    look_after = FIRST_LOOK;
                    break;
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
        look_after = (look_after * 2).min(LOOK_AGAIN);
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            let status = client.status(&id).await?;
            if status.task.status.is_terminal() {
                return Ok(status);
            }
            return Err(Refusal::new(RefusalKind::TimedOut, format!("task {id} has not ended yet"))
                .with_help(format!("it goes on: `nexus logs -f {id}`")));
        }
    }
}

/// The longest absence of a company that is being waited for: it comes back later than its broker.
const AWAY: Duration = Duration::from_secs(2);

/// A task's status, from a company that may be away for a while: the task is not lost by that.
async fn still(client: &Client, task: &str, deadline: Option<Instant>) -> Result<TaskStatus, Refusal> {
    let patient = Instant::now() + AWAY;
    let until = deadline.map_or(patient, |deadline| deadline.min(patient));
    let mut pause = FIRST_LOOK;
    loop {
        match client.status(task).await {
            Err(refusal) if refusal.kind == RefusalKind::Unreachable && Instant::now() < until => {
                tracing::debug!("waiting for the company: {refusal}");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LOOK_AGAIN);
            }
            status => return status,
        }
    }
}

impl Client {
    /// Follows a task's log from line `from` until the task has ended and every line was delivered.
    /// The channel is bounded: a slow reader slows only itself.
    pub async fn follow_log(&self, task: &str, from: u64) -> Result<mpsc::Receiver<Result<LogLine, Refusal>>, Refusal> {
        let task = self.status(task).await?.task.task_id;
        let logs = self.bus.nats.subscribe(subject::any_log(task)).await.map_err(unreachable)?;
        let events = live_events(&self.bus, Some(task)).await?;
        let (sender, receiver) = mpsc::channel(LINES_BEHIND);
        let follower = Follower { bus: self.bus.clone(), task, next: from.max(1), seq: 0, live_next: None, sender };
        tokio::spawn(follower.run(logs, events));
        Ok(receiver)
    }

    /// Reads a task's log from line `from` as far as it is stored, each chunk of it once, whether or not the task has
    /// ended. The channel is bounded: the reading waits for a slow reader.
    pub async fn read_log(&self, task: &str, from: u64) -> Result<mpsc::Receiver<Result<LogLine, Refusal>>, Refusal> {
        let task = self.status(task).await?.task.task_id;
        let (sender, receiver) = mpsc::channel(LINES_BEHIND);
        let mut reader = Follower { bus: self.bus.clone(), task, next: from.max(1), seq: 0, live_next: None, sender };
        tokio::spawn(async move {
            if let Err(error) = reader.catch_up().await {
                reader.fail(error).await;
            }
        });
        Ok(receiver)
    }
}

struct Follower {
    bus: Bus,
    task: TaskId,
    /// The line to deliver next.
    next: u64,
    /// Where in the stream to read on.
    seq: u64,
    /// The line that the next live chunk begins with, if none was missed.
    live_next: Option<u64>,
    sender: mpsc::Sender<Result<LogLine, Refusal>>,
}

/// The reader has gone: nothing more to do.
struct Gone;

impl Follower {
    async fn run(mut self, mut logs: Subscriber, mut events: impl Stream<Item = Event> + Unpin) {
        let mut ended = match self.bus.last_event(self.task).await {
            Ok(last) => last.and_then(|last| end_of(&last.event)),
            Err(error) => return self.fail(error).await,
        };
        let mut behind = 0;
        loop {
            match self.catch_up().await {
                Ok(Ok(())) => {}
                Ok(Err(Gone)) => return,
                Err(error) => return self.fail(error).await,
            }
            // It is written before the end is: when the end was known before the reading, there is nothing more. In a
            // cluster the server that was asked may be a moment behind.
            if let Some(lines) = ended {
                if self.next > lines || behind == BEHIND {
                    return;
                }
                behind += 1;
                tokio::time::sleep(FIRST_LOOK * 20).await;
                continue;
            }
            // Live chunks that fit are delivered as they come; a gap sends us back to the stream.
            loop {
                let message = tokio::select! {
                    message = timeout(LOOK_AGAIN, logs.next()) => match message {
                        Ok(message) => message,
                        // The event of its end may have come while the connection was away.
                        Err(_) => {
                            let last = self.bus.last_event(self.task).await.ok().flatten();
                            ended = last.and_then(|last| end_of(&last.event));
                            break;
                        }
                    },
                    event = events.next() => {
                        ended = event.as_ref().and_then(end_of).or(ended);
                        if ended.is_some() || event.is_none() { break }
                        continue;
                    }
                    () = self.sender.closed() => return,
                };
                let Some(message) = message else { return };
                let Ok(chunk) = decode::<LogChunk>(&message.subject, 0, &message.payload) else { break };
                let fits = chunk.first <= self.next && self.live_next.is_none_or(|next| chunk.first <= next);
                if !fits {
                    break;
                }
                self.live_next = Some(chunk.next());
                if self.deliver(chunk).await.is_err() {
                    return;
                }
                if ended.is_some_and(|lines| self.next > lines) {
                    return;
                }
            }
        }
    }

    /// Delivers what the stream holds beyond what was delivered.
    async fn catch_up(&mut self) -> Result<Result<(), Gone>, BusError> {
        loop {
            let (chunks, more) = self.bus.log_chunks(self.task, self.seq, CHUNKS).await?;
            for (seq, chunk) in chunks {
                self.seq = seq + 1;
                if self.deliver(chunk).await.is_err() {
                    return Ok(Err(Gone));
                }
            }
            if !more {
                self.live_next = None;
                return Ok(Ok(()));
            }
        }
    }

    async fn deliver(&mut self, chunk: LogChunk) -> Result<(), Gone> {
        for line in chunk.into_lines().filter(|line| line.seq >= self.next).collect::<Vec<_>>() {
            self.next = line.seq + 1;
            self.sender.send(Ok(line)).await.map_err(|_| Gone)?;
        }
        Ok(())
    }

    async fn fail(self, error: BusError) {
        let _ = self.sender.send(Err(error.into())).await;
    }
}

/// The number of lines that a task that has ended has written.
fn end_of(event: &Event) -> Option<u64> {
    match &event.what {
        What::Completed { outcome } | What::Failed { outcome, .. } => Some(outcome.log_lines),
        What::Cancelled { outcome, .. } => Some(outcome.as_ref().map_or(0, |outcome| outcome.log_lines)),
        _ => None,
    }
}
