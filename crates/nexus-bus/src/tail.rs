//! Reading the whole ledger in order, for those who fold it.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::{Message, StatusCode, Subscriber};
use futures_util::StreamExt;
use nexus_core::view::Record;
use serde_json::json;
use tokio::sync::watch;

use crate::bus::{ANSWER, Bus};
use crate::error::{BusError, unreachable};
use crate::queue::ack_token;
use crate::read::decode;
use crate::subject;

/// Records with their sequences, in order. They are asked for, many at once, when their reader has use for them: delivered one by
/// one as they are written, each would cost the broker and this process as much as writing it.
#[derive(Debug)]
pub struct Tail {
    /// Records that had to be read when the tail was opened.
    pub pending: u64,
    bus: Bus,
    request: String,
    inbox: String,
    messages: Subscriber,
    lost: watch::Receiver<u64>,
    pulls: u64,
    /// The next one is larger than what a pull may bring.
    large: bool,
    /// Messages that were delivered: one that is lost on its way leaves a gap.
    delivered: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// More may be there.
    Reading,
    /// Everything was read.
    Waiting,
    /// Something can't be read by this nexus.
    Ended,
}

/// Records that came together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub records: Vec<(u64, Record)>,
    /// Everything up to this sequence has been delivered.
    pub upto: u64,
    /// Records that followed when this batch was sent.
    pub pending: u64,
    /// Nothing more comes: what follows was written by a newer nexus.
    pub newer: Option<BusError>,
}

/// Records that are read together at most: with messages of 1 KiB two MiB.
const BATCH: usize = 2048;
/// Bytes of them at most, unless a single one has more: far below what the broker lets wait for a connection before it ends it.
const BATCH_BYTES: usize = 16 << 20;
/// The wait of one pull for something to come, and the time between the broker's signs meanwhile that it has not forgotten it.
const WAIT: Duration = Duration::from_secs(60);
const HEARTBEAT: Duration = Duration::from_secs(5);
/// The time for which the broker keeps the place of a reader that asks for nothing.
const ABSENCE: Duration = Duration::from_secs(30);

impl Bus {
    /// Follows the ledger from the sequence after `position`; ends when the stream can't be read any more.
    pub async fn tail(&self, position: u64) -> Result<Tail, BusError> {
        // From before the consumer is there: one that is lost with its connection is noticed.
        let lost = self.lost();
        let stream = self.js.get_stream_no_info(subject::TASKS).await.map_err(unreachable)?;
        let consumer = stream
            .create_consumer(pull::Config {
                description: Some("folds the ledger into the history".to_owned()),
                filter_subjects: [subject::ALL_QUEUES, subject::ALL_EVENTS, subject::ALL_SCHEDULES]
                    .map(str::to_owned)
                    .into(),
                deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: position + 1 },
                ack_policy: AckPolicy::None,
                memory_storage: true,
                num_replicas: 1,
                inactive_threshold: ABSENCE,
                ..pull::Config::default()
            })
            .await
            .map_err(unreachable)?;
        let info = consumer.cached_info();
        let request = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", subject::TASKS, info.name);
        let inbox = self.nats.new_inbox();
        let messages = self.nats.subscribe(format!("{inbox}.*")).await.map_err(unreachable)?;
        Ok(Tail {
            pending: info.num_pending,
            bus: self.clone(),
            request,
            inbox,
            messages,
            lost,
            pulls: 0,
            large: false,
            delivered: 0,
            state: State::Reading,
        })
    }
}

/// The result of a pull.
enum Pulled {
    Batch(Batch),
    Nothing,
    /// It isn't known what was delivered, or nothing will be; why.
    Lost(String),
}

impl Tail {
    /// The next records, all that are there; `None` when the ledger can't be followed any more and has to be opened again. Dropped
    /// halfway, it leaves a tail that ends.
    pub async fn next(&mut self) -> Option<Batch> {
        self.next_within(2 * HEARTBEAT).await
    }

    /// The same, and `None` also when all is read and nothing comes for so long.
    pub async fn next_within(&mut self, quiet: Duration) -> Option<Batch> {
        loop {
            let patience = match self.state {
                State::Reading => ANSWER,
                State::Waiting => quiet.min(2 * HEARTBEAT),
                State::Ended => return None,
            };
            let waits = std::mem::replace(&mut self.state, State::Ended) == State::Waiting;
            match self.pull(waits, patience).await {
                Pulled::Batch(batch) => {
                    if batch.newer.is_none() {
                        self.state = State::Reading;
                    }
                    return Some(batch);
                }
                Pulled::Nothing if self.large => self.state = State::Reading,
                Pulled::Nothing => self.state = State::Waiting,
                Pulled::Lost(cause) => {
                    tracing::debug!("the ledger is followed anew: {cause}");
                    return None;
                }
            }
        }
    }

    /// The records that are there now, or the first that come.
    async fn pull(&mut self, waits: bool, patience: Duration) -> Pulled {
        self.pulls += 1;
        let reply = format!("{}.{}", self.inbox, self.pulls);
        let (limit, question) = if waits {
            (1, json!({ "batch": 1, "expires": WAIT.as_nanos(), "idle_heartbeat": HEARTBEAT.as_nanos() }))
        } else if std::mem::take(&mut self.large) {
            (1, json!({ "batch": 1, "no_wait": true }))
        } else {
            (BATCH, json!({ "batch": BATCH, "max_bytes": BATCH_BYTES, "no_wait": true }))
        };
        let asked = self.bus.nats.publish_with_reply(self.request.clone(), reply.clone(), question.to_string().into());
        if let Err(error) = asked.await {
            return Pulled::Lost(error.to_string());
        }
        let (mut batch, mut taken) = (Batch::default(), 0);
        while taken < limit {
            let message = tokio::select! {
                biased;
                _ = self.lost.changed() => return Pulled::Lost("the connection is lost".to_owned()),
                message = tokio::time::timeout(patience, self.messages.next()) => message,
            };
            let Ok(Some(message)) = message else {
                return Pulled::Lost(format!("nothing has come for {patience:?}"));
            };
            match message.status {
                None => {
                    taken += 1;
                    match self.take(&message, &mut batch) {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(cause) => return Pulled::Lost(cause),
                    }
                }
                // The end of some earlier pull, or a sign of life.
                Some(_) if message.subject.as_str() != reply => {}
                Some(StatusCode::IDLE_HEARTBEAT) => {}
                Some(StatusCode::NOT_FOUND | StatusCode::TIMEOUT) => break,
                Some(status) => {
                    let cause = message.description.unwrap_or_default();
                    if cause.contains("MaxBytes") {
                        self.large = taken == 0;
                        break;
                    }
                    tracing::warn!("the ledger can't be followed: {status} {cause}");
                    return Pulled::Lost(cause);
                }
            }
        }
        if taken == 0 { Pulled::Nothing } else { Pulled::Batch(batch) }
    }

    /// Adds a message to a batch; false when that ends with it.
    fn take(&mut self, message: &Message, batch: &mut Batch) -> Result<bool, String> {
        let token = |n| message.reply.as_ref().and_then(|reply| ack_token(reply, n));
        let (Some(seq), Some(number), Some(pending)) = (token(1), token(2), token(4)) else {
            return Err("a message does not say where it stands".to_owned());
        };
        if number != self.delivered + 1 {
            return Err(format!("message {number} came after {}", self.delivered));
        }
        self.delivered = number;
        match record(message.subject.as_str(), seq, &message.payload) {
            // Left out, a task would be told wrongly of; so nothing after it is told at all.
            Err(error @ BusError::Newer { .. }) => {
                batch.pending = pending + 1;
                batch.newer = Some(error);
                return Ok(false);
            }
            Ok(record) => batch.records.push((seq, record)),
            Err(error) => tracing::warn!("left out of the history: {error}"),
        }
        (batch.upto, batch.pending) = (seq, pending);
        Ok(true)
    }
}

pub(crate) fn record(subject: &str, seq: u64, payload: &[u8]) -> Result<Record, BusError> {
    if subject.starts_with("nexus.queue.") {
        Ok(Record::Entry(decode(subject, seq, payload)?))
    } else if subject.starts_with("nexus.schedule.") {
        Ok(Record::Scheduled(decode(subject, seq, payload)?))
    } else {
        Ok(Record::Event(decode(subject, seq, payload)?))
    }
}
