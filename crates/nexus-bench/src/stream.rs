//! A stream like the ledger, on the same server; another one, so that the company isn't given what it can't read.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{Config, StorageType, Stream};
use async_nats::jetstream::{Context, Message};
use bytes::Bytes;
use futures_util::StreamExt as _;

use crate::error::nats;
use crate::{LoadError, Site};

/// The beginning of headers that the stream adds to a stored message, or is told by it.
const OF_THE_STREAM: &str = "nats-";
/// The longest wait of a pull: only a fault reaches it, or that nobody asks.
const PATIENCE: Duration = Duration::from_secs(15);

/// Opens it, and makes it where it isn't there.
pub(crate) async fn open(site: &Site) -> Result<(Context, Stream), LoadError> {
    let jetstream = async_nats::jetstream::new(site.raw().await?);
    let config = Config {
        name: "NEXUS_BENCH".to_owned(),
        subjects: vec!["bench.queue.*.*.*".to_owned(), "bench.event.*.*".to_owned()],
        storage: StorageType::File,
        allow_direct: true,
        allow_atomic_publish: true,
        allow_message_schedules: true,
        duplicate_window: Duration::from_millis(100),
        max_bytes: -1,
        ..Config::default()
    };
    jetstream.create_or_update_stream(config.clone()).await.map_err(nats)?;
    let stream = jetstream.get_stream(&config.name).await.map_err(nats)?;
    Ok((jetstream, stream))
}

/// A message like the newest that the company itself has written on a subject of its ledger: of its size, with its headers.
#[derive(Clone)]
pub(crate) struct Template {
    jetstream: Context,
    headers: HeaderMap,
    payload: Bytes,
}

impl Template {
    pub(crate) async fn of(jetstream: &Context, subject: &str) -> Result<Self, LoadError> {
        let ledger = jetstream.get_stream(nexus_bus::LEDGER).await.map_err(nats)?;
        let message = ledger.get_last_raw_message_by_subject(subject).await.map_err(nats)?;
        Ok(Self::like(jetstream, message))
    }

    /// One like an event of this kind, of the task of which the company has written last: a kind has a size of its own, and whoever
    /// follows events knows them by it.
    pub(crate) async fn of_event(jetstream: &Context, kind: &str) -> Result<Self, LoadError> {
        let ledger = jetstream.get_stream(nexus_bus::LEDGER).await.map_err(nats)?;
        let last = ledger.get_last_raw_message_by_subject("nexus.event.*.*").await.map_err(nats)?;
        let mut from = 1;
        loop {
            let event = ledger.get_first_raw_message_by_subject(last.subject.as_str(), from).await;
            let event = event.map_err(|error| LoadError::Unmet(format!("the last task has no {kind}: {error}")))?;
            if event.headers.get("ce-type").is_some_and(|found| found.as_str() == kind) {
                return Ok(Self::like(jetstream, event));
            }
            from = event.sequence + 1;
        }
    }

    fn like(jetstream: &Context, message: StreamMessage) -> Self {
        let mut headers = HeaderMap::new();
        let own =
            message.headers.iter().filter(|(name, _)| !name.to_string().to_lowercase().starts_with(OF_THE_STREAM));
        for (name, value) in own.flat_map(|(name, values)| values.iter().map(move |value| (name.clone(), value))) {
            headers.append(name, value.clone());
        }
        Self { jetstream: jetstream.clone(), headers, payload: message.payload }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.payload.len()
    }

    /// Stores one on `subject`, and returns its sequence. `expect`: refused unless the last there has this sequence (0: none).
    pub(crate) async fn store(&self, subject: String, expect: Option<u64>) -> Result<u64, LoadError> {
        let mut headers = self.headers.clone();
        if let Some(expect) = expect {
            headers.insert(async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expect.to_string());
        }
        let stored = self.jetstream.publish_with_headers(subject, headers, self.payload.clone()).await.map_err(nats)?;
        Ok(stored.await.map_err(nats)?.sequence)
    }
}

/// The subject of a new entry.
pub(crate) fn queue(department: &str) -> String {
    format!("bench.queue.{department}.5.{}", uuid::Uuid::now_v7())
}

/// Who takes entries from a queue, without what an earlier run has left there.
pub(crate) async fn emptied(stream: &Stream, whose: &str) -> Result<PullConsumer, LoadError> {
    stream.purge().filter(format!("bench.queue.{whose}.>")).await.map_err(nats)?;
    let config = pull::Config {
        durable_name: Some(whose.to_owned()),
        filter_subject: format!("bench.queue.{whose}.5.*"),
        ack_policy: AckPolicy::Explicit,
        max_ack_pending: 100_000,
        ..pull::Config::default()
    };
    stream.create_consumer(config).await.map_err(nats)
}

/// Takes the next entry; none: there was none for long.
pub(crate) async fn take(consumer: &PullConsumer) -> Result<Option<Message>, LoadError> {
    let mut batch = consumer.batch().max_messages(1).expires(PATIENCE).messages().await.map_err(nats)?;
    batch.next().await.transpose().map_err(nats)
}
