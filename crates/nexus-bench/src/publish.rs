//! The floor of a submission: the same message, published by async-nats to a stream like the ledger, and acknowledged.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::stream::{Config, StorageType};
use serde::Deserialize;
use serde_json::Value;

use crate::error::nats;
use crate::{LoadError, Site, timing};

#[derive(Debug, Deserialize)]
pub(crate) struct Publish {
    data_dir: Site,
    count: usize,
    in_flight: usize,
    /// Whether the stream is told what it must not hold yet, as the CEO tells it.
    #[serde(default)]
    compare_and_set: bool,
}

/// Like the ledger's, on the same server; another stream, so that the company isn't given what it can't read.
fn stream() -> Config {
    Config {
        name: "NEXUS_BENCH".to_owned(),
        subjects: vec!["bench.queue.*.*.*".to_owned()],
        storage: StorageType::File,
        allow_direct: true,
        allow_atomic_publish: true,
        allow_message_schedules: true,
        duplicate_window: Duration::from_millis(100),
        max_bytes: -1,
        ..Config::default()
    }
}

/// What the stream adds to a stored message, or is told by it.
const OF_THE_STREAM: &str = "nats-";

impl Publish {
    pub(crate) async fn perform(self) -> Result<Value, LoadError> {
        let jetstream = async_nats::jetstream::new(self.data_dir.raw().await?);
        jetstream.create_or_update_stream(stream()).await.map_err(nats)?;
        let ledger = jetstream.get_stream(nexus_bus::LEDGER).await.map_err(nats)?;
        // The newest entry of the company itself, so that size and headers are what it writes.
        let entry = ledger.get_last_raw_message_by_subject("nexus.queue.*.*.*").await.map_err(nats)?;
        let mut headers = HeaderMap::new();
        let own = entry.headers.iter().filter(|(name, _)| !name.to_string().to_lowercase().starts_with(OF_THE_STREAM));
        for (name, value) in own.flat_map(|(name, values)| values.iter().map(move |value| (name.clone(), value))) {
            headers.append(name, value.clone());
        }
        let mut figures = timing::repeat(self.count, self.in_flight, |_| {
            let (jetstream, mut headers, payload) = (jetstream.clone(), headers.clone(), entry.payload.clone());
            async move {
                let id = uuid::Uuid::now_v7();
                if self.compare_and_set {
                    headers.insert(async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
                    let pattern = format!("bench.queue.*.*.{id}");
                    headers.insert("Nats-Expected-Last-Subject-Sequence-Subject", pattern.as_str());
                }
                let subject = format!("bench.queue.bench.5.{id}");
                let stored = jetstream.publish_with_headers(subject, headers, payload).await.map_err(nats)?;
                stored.await.map_err(nats)?;
                Ok(())
            }
        })
        .await?;
        figures["bytes"] = entry.payload.len().into();
        Ok(figures)
    }
}
