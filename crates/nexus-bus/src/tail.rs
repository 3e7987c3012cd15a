//! Reading the whole ledger in order, for those who fold it.

use async_nats::jetstream::consumer::{DeliverPolicy, push};
use futures_util::StreamExt;
use nexus_core::view::Record;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::bus::Bus;
use crate::error::{BusError, unreachable};
use crate::read::decode;
use crate::subject;

/// Records with their sequences, in order.
#[derive(Debug)]
pub struct Tail {
    /// Records that had to be read when the tail was opened.
    pub pending: u64,
    batches: mpsc::Receiver<Batch>,
    _reader: AbortOnDropHandle<()>,
}

/// What came together.
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

/// Records that are read together at most; twice as many are folded in one transaction.
const BATCH: usize = 512;
/// Batches read ahead of the folding: with messages of 1 KiB about 4 MiB.
const AHEAD: usize = 8;

impl Bus {
    /// Follows the ledger from the sequence after `position`; ends when the stream can't be read any more.
    pub async fn tail(&self, position: u64) -> Result<Tail, BusError> {
        let stream = self.js.get_stream_no_info(subject::TASKS).await.map_err(unreachable)?;
        let consumer = stream
            .create_consumer(push::OrderedConfig {
                deliver_subject: self.nats.new_inbox(),
                description: Some("folds the ledger into the history".to_owned()),
                filter_subjects: [subject::ALL_QUEUES, subject::ALL_EVENTS, subject::ALL_SCHEDULES]
                    .map(str::to_owned)
                    .into(),
                deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: position + 1 },
                ..push::OrderedConfig::default()
            })
            .await
            .map_err(unreachable)?;
        let pending = consumer.cached_info().num_pending;
        let messages = consumer.messages().await.map_err(unreachable)?;
        let (sender, batches) = mpsc::channel(AHEAD);
        let reader = tokio::spawn(async move {
            let mut chunks = messages.ready_chunks(BATCH);
            while let Some(chunk) = chunks.next().await {
                let mut batch = Batch::default();
                for message in chunk {
                    match message {
                        Ok(message) => {
                            let Ok(info) = message.info() else { continue };
                            let subject = message.subject.as_str();
                            let record = record(subject, info.stream_sequence, &message.payload);
                            if let Err(error @ BusError::Newer { .. }) = record {
                                // Left out, a task would be told wrongly of; so nothing after it is told at all.
                                batch.pending = info.pending + 1;
                                batch.newer = Some(error);
                                let _ = sender.send(batch).await;
                                return;
                            }
                            batch.upto = info.stream_sequence;
                            batch.pending = info.pending;
                            match record {
                                Ok(record) => batch.records.push((info.stream_sequence, record)),
                                Err(error) => tracing::warn!("left out of the history: {error}"),
                            }
                        }
                        Err(error) => {
                            tracing::warn!("the ledger can't be followed any more: {error}");
                            return;
                        }
                    }
                }
                if sender.send(batch).await.is_err() {
                    return;
                }
            }
        });
        Ok(Tail { pending, batches, _reader: AbortOnDropHandle::new(reader) })
    }
}

impl Tail {
    /// The next records, all that are there; `None` when the ledger can't be followed any more and has to be opened again.
    pub async fn next(&mut self) -> Option<Batch> {
        let mut batch = self.batches.recv().await?;
        while batch.newer.is_none() && batch.records.len() < BATCH {
            let Ok(mut next) = self.batches.try_recv() else { break };
            batch.records.append(&mut next.records);
            batch = Batch { records: batch.records, upto: batch.upto.max(next.upto), ..next };
        }
        Some(batch)
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
