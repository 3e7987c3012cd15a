//! Publishing with proof: one message or an atomic batch, by compare-and-set, resolved when an answer was lost.

use async_nats::client::PublishErrorKind;
use async_nats::jetstream::response::Response;
use async_nats::{HeaderName, Request, RequestErrorKind};
use bytes::Bytes;
use serde::Deserialize;
use uuid::Uuid;

use crate::bus::Bus;
use crate::envelope::Headers;
use crate::error::{BusError, unreachable};

/// One message to be stored.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) subject: String,
    pub(crate) payload: Bytes,
    pub(crate) headers: Headers,
    /// Its `ce-id`, by which it is known again after a lost answer.
    pub(crate) id: String,
}

const EXPECTED_SUBJECT: HeaderName = HeaderName::from_static("Nats-Expected-Last-Subject-Sequence-Subject");

impl Outgoing {
    /// Refuse this unless the last message that `pattern` matches has the sequence `expect` (0: there is none).
    pub(crate) fn expecting(mut self, pattern: &str, expect: u64) -> Self {
        self.headers.insert(async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expect.to_string());
        if pattern != self.subject {
            self.headers.insert(EXPECTED_SUBJECT, pattern.to_owned());
        }
        self
    }
}

#[derive(Deserialize)]
struct Stored {
    seq: u64,
}

/// The number of times that a message whose answers are lost is published, the first included, before the caller hears of it.
const TRIES: u32 = 3;

/// `STREAM_WRONG_LAST_SEQUENCE` and its constant twin (the one without the sequence in its text).
const WRONG_LAST: [u64; 2] = [10071, 10164];
/// Storage of account or server exceeded, store failed, stream at its bound.
const NO_ROOM: [u64; 4] = [10023, 10047, 10077, 10122];

impl Bus {
    /// Publishes one message and returns its sequence.
    pub(crate) async fn publish(&self, message: &Outgoing) -> Result<u64, BusError> {
        self.publish_all(stream_of(&message.subject), std::slice::from_ref(message)).await
    }

    /// Publishes all or none, atomically when there are several, and returns the sequence of the last.
    ///
    /// A lost answer means "unknown": it is published again, and when that is refused because something is there
    /// already, the ledger tells whether that something is this very message. (What is seldom awaited is boxed: it would make every
    /// task that publishes larger, and each is moved some times.)
    pub(crate) async fn publish_all(&self, stream: &str, messages: &[Outgoing]) -> Result<u64, BusError> {
        let mut unanswered = 0;
        let mut last_error = BusError::Refused("an empty batch".to_owned());
        for _ in 0..TRIES {
            match self.try_publish(messages).await {
                Err(BusError::Conflict) if unanswered > 0 => return Box::pin(self.settle(stream, messages)).await,
                Err(BusError::Unreachable(cause)) => {
                    unanswered += 1;
                    last_error = BusError::Unreachable(cause);
                    // Once may be a lost answer. Not asked a third time: whoever waits for this has no more time either.
                    if (unanswered > 1 || self.room().is_err())
                        && let Some(full) = Box::pin(self.stores_nothing(stream)).await
                    {
                        return Box::pin(self.settle(stream, messages)).await.map_err(|_| full);
                    }
                }
                settled => return settled,
            }
        }
        Err(last_error)
    }

    async fn settle(&self, stream: &str, messages: &[Outgoing]) -> Result<u64, BusError> {
        let mut seq = 0;
        for message in messages {
            let stored = self.last(stream, &message.subject).await?.ok_or(BusError::Conflict)?;
            if stored.header("ce-id") != Some(message.id.as_str()) {
                return Err(BusError::Conflict);
            }
            seq = stored.seq;
        }
        Ok(seq)
    }

    async fn try_publish(&self, messages: &[Outgoing]) -> Result<u64, BusError> {
        let Some((last, before)) = messages.split_last() else {
            return Err(BusError::Refused("an empty batch".to_owned()));
        };
        let batch = (!before.is_empty()).then(|| Uuid::now_v7().simple().to_string());
        let mark = |headers: &Headers, position: usize| {
            let mut headers = headers.map();
            if let Some(batch) = &batch {
                headers.insert("Nats-Batch-Id", batch.as_str());
                headers.insert("Nats-Batch-Sequence", (position + 1).to_string());
            }
            headers
        };
        for (position, message) in before.iter().enumerate() {
            let headers = mark(&message.headers, position);
            let published =
                self.nats.publish_with_headers(message.subject.clone(), headers, message.payload.clone()).await;
            published.map_err(|error| match error.kind() {
                PublishErrorKind::MaxPayloadExceeded => BusError::Refused(error.to_string()),
                _ => unreachable(error),
            })?;
        }
        let mut headers = mark(&last.headers, before.len());
        if batch.is_some() {
            headers.insert("Nats-Batch-Commit", "1");
        }
        let request = Request::new().headers(headers).payload(last.payload.clone());
        let answer =
            self.nats.send_request(last.subject.clone(), request).await.map_err(|error| match error.kind() {
                RequestErrorKind::MaxPayloadExceeded => BusError::Refused(error.to_string()),
                _ => unreachable(error),
            })?;
        match serde_json::from_slice::<Response<Stored>>(&answer.payload) {
            Ok(Response::Ok(stored)) => Ok(stored.seq),
            Ok(Response::Err { error }) => Err(classify(error.error_code().0, error.to_string())),
            Err(error) => Err(BusError::Refused(format!("an answer that is not JetStream's: {error}"))),
        }
    }
}

fn classify(code: u64, text: String) -> BusError {
    if WRONG_LAST.contains(&code) {
        BusError::Conflict
    } else if NO_ROOM.contains(&code) || text.contains("maximum bytes") || text.contains("no space left") {
        BusError::Full(text)
    } else if code == 10076 || text.contains("not available") {
        BusError::Unreachable(text)
    } else {
        BusError::Refused(text)
    }
}

/// Every ledger subject lives in the one stream; only logs, prompts, dead letters, messages and leases go elsewhere.
fn stream_of(subject: &str) -> &'static str {
    if subject.starts_with("nexus.log.") || subject.starts_with("nexus.prompt.") {
        crate::subject::LOGS
    } else if subject.starts_with("nexus.dead.") {
        crate::subject::DEAD
    } else if subject.starts_with("nexus.message.") {
        crate::subject::MESSAGES
    } else if subject.starts_with("$KV.") {
        crate::subject::LEASES
    } else {
        crate::subject::TASKS
    }
}
