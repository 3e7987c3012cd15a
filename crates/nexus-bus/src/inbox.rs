//! Work asked for by just publishing: the inbox, other subjects (triggers), and the dead letters of what was no work.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{AckKind, Message};
use bytes::Bytes;
use futures_util::StreamExt;
use jiff::Timestamp;
use nexus_core::api::DeadLetter;
use nexus_core::refusal::Refusal;
use nexus_core::task::{STORED_VERSION, Submission};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::bus::Bus;
use crate::envelope::is_traceparent;
use crate::error::{BusError, unreachable};
use crate::ledger::outgoing;
use crate::subject;

/// A message that asks for work.
#[derive(Debug)]
pub struct Letter {
    pub subject: String,
    pub payload: Bytes,
    /// `Nats-Msg-Id` or `ce-id`: what makes it idempotent.
    pub id: Option<String>,
    /// Its place in the inbox and the time it got there: what makes one idempotent that has no id and is handed out twice.
    /// (An inbox that is made anew counts from 1 again.)
    pub place: Option<String>,
    pub traceparent: Option<String>,
    stored: Option<Message>,
}

/// Letters, until this is dropped.
#[derive(Debug)]
pub struct Letters {
    receiver: mpsc::Receiver<Letter>,
    _reader: AbortOnDropHandle<()>,
}

/// Letters read ahead of the CEO. Small: each may be as large as NATS allows, and the stream keeps the rest.
const AHEAD: usize = 16;
/// The time that a letter may be in the CEO's hands before it is handed out again.
const HOLD: Duration = Duration::from_secs(30);

impl Bus {
    /// Letters of the inbox; each is kept by the broker until it has been taken.
    pub async fn inbox(&self) -> Result<Letters, BusError> {
        let stream = self.js.get_stream_no_info(subject::INBOX).await.map_err(unreachable)?;
        let consumer = stream
            .create_consumer(pull::Config {
                durable_name: Some("ceo".to_owned()),
                ack_policy: AckPolicy::Explicit,
                ack_wait: HOLD,
                ..pull::Config::default()
            })
            .await
            .map_err(|error| BusError::Refused(format!("the inbox: {error}")))?;
        let mut messages = consumer.stream().max_messages_per_batch(AHEAD).messages().await.map_err(unreachable)?;
        let (sender, receiver) = mpsc::channel(AHEAD);
        let reader = tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                match message {
                    Ok(message) => {
                        let place = place(&message);
                        let letter = Letter { place, stored: Some(message.clone()), ..letter(message.message) };
                        if sender.send(letter).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => tracing::debug!("the inbox: {error}"),
                }
            }
        });
        Ok(Letters { receiver, _reader: AbortOnDropHandle::new(reader) })
    }

    /// Messages on any subject, as they come: nothing keeps those that come while nobody listens.
    pub async fn listen(&self, subject: &str) -> Result<Letters, BusError> {
        // No queue group: the CEO's lease decides which node acts on a message, never the broker's choice among those who
        // listen, one of whom may be a process that stands still.
        let mut messages = self.nats.subscribe(subject.to_owned()).await.map_err(unreachable)?;
        self.flush().await;
        let (sender, receiver) = mpsc::channel(AHEAD);
        let reader = tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                if sender.send(letter(message)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Letters { receiver, _reader: AbortOnDropHandle::new(reader) })
    }

    /// Puts a submission into a department's inbox, where it waits until the CEO can take it.
    pub async fn post(&self, department: &str, submission: &Submission, id: Option<&str>) -> Result<(), BusError> {
        let payload = serde_json::to_vec(submission).map_err(|error| BusError::Refused(error.to_string()))?;
        let publish = PublishMessage::build().payload(payload.into());
        let publish = match id {
            Some(id) => publish.message_id(id),
            None => publish,
        };
        let sent = self.js.send_publish(subject::inbox(department), publish).await.map_err(unreachable)?;
        sent.await.map(|_| ()).map_err(unreachable)
    }

    /// Keeps what could not become work, with the reason, under `nexus.dead.<department>.<id>`.
    pub async fn bury(
        &self,
        department: &str,
        subject: &str,
        payload: &[u8],
        refusal: Refusal,
        now: Timestamp,
    ) -> Result<(), BusError> {
        /// Bytes of a dead letter's payload that are kept.
        const KEPT: usize = 64 * 1024;
        let letter = DeadLetter {
            v: STORED_VERSION,
            subject: subject.to_owned(),
            refusal,
            payload: String::from_utf8_lossy(&payload[..payload.len().min(KEPT).min(self.text_limit())]).into_owned(),
            at: now,
        };
        let id = uuid::Uuid::now_v7().to_string();
        let message = outgoing(subject::dead(department, &id), "nexus.dead", subject, now, None, &letter)?;
        self.publish(&message).await.map(|_| ())
    }
}

fn letter(message: async_nats::Message) -> Letter {
    let header = |name: &str| {
        let headers = message.headers.as_ref()?;
        headers.get(name).map(|value| value.as_str().to_owned()).filter(|text| !text.is_empty())
    };
    let id = header("Nats-Msg-Id").or_else(|| header("ce-id"));
    let traceparent = header("traceparent").filter(|text| is_traceparent(text));
    Letter {
        subject: message.subject.to_string(),
        payload: message.payload,
        id,
        place: None,
        traceparent,
        stored: None,
    }
}

fn place(message: &Message) -> Option<String> {
    let info = message.info().ok()?;
    Some(format!("{}@{}", info.stream_sequence, info.published.unix_timestamp_nanos()))
}

impl Letters {
    pub async fn next(&mut self) -> Option<Letter> {
        self.receiver.recv().await
    }
}

impl Letter {
    /// The broker keeps it until it is taken; one that came on any other subject is lost when it is dropped.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        self.stored.is_some()
    }

    /// It has become work, or a dead letter: the broker may forget it.
    pub async fn taken(&self) {
        self.settle(AckKind::Ack).await;
    }

    /// Not now: it is handed out again after a while.
    pub async fn put_back(&self, after: Duration) {
        self.settle(AckKind::Nak(Some(after))).await;
    }

    async fn settle(&self, kind: AckKind) {
        if let Some(message) = &self.stored
            && let Err(error) = message.ack_with(kind).await
        {
            tracing::debug!("the inbox: {error}");
        }
    }
}
