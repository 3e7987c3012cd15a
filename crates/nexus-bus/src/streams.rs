//! The streams a company is made of, and the bounds of each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{GetStreamError, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType};

use futures_util::TryStreamExt;
use nexus_core::message::MAX_KEPT;

use crate::bus::Bus;
use crate::error::{BusError, unreachable};
use crate::subject;

/// The bounds of the streams, and their safety.
#[derive(Clone, Copy, Debug)]
pub struct StreamOptions {
    /// Bytes of the ledger at which new work is refused as busy. What runs can always be written down.
    pub ledger_bytes: u64,
    /// Bytes of all logs and prompts; at the bound the oldest go.
    pub log_bytes: i64,
    /// The time for which logs, prompts and dead letters are kept.
    pub retention: Duration,
    /// Copies in a cluster: 1 for a private server, 3 elsewhere where there are three servers.
    pub replicas: usize,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            // About 2.5 million waiting tasks of 1 KiB.
            ledger_bytes: 4 << 30,
            log_bytes: 4 << 30,
            retention: Duration::from_secs(30 * 24 * 3600),
            replicas: 1,
        }
    }
}

impl StreamOptions {
    /// Bytes that each bounded stream reserves.
    pub(crate) fn bounds(&self) -> [(&'static str, u64); 5] {
        let bounds = [
            (subject::LOGS, self.log_bytes),
            (subject::DEAD, DEAD_BYTES),
            (subject::INBOX, INBOX_BYTES),
            (subject::LEASES, LEASE_BYTES),
            (subject::MESSAGES, MESSAGE_BYTES),
        ];
        bounds.map(|(name, bytes)| (name, u64::try_from(bytes).unwrap_or(0)))
    }
}

/// A ledger, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerExtent {
    /// It changes when the ledger was lost and made anew.
    pub identity: String,
    pub bytes: u64,
    /// Sequence of the last message (0: there was none).
    pub last: u64,
    /// Messages that are there.
    pub records: u64,
}

const DEAD_BYTES: i64 = 64 << 20;
/// Seventy departments' messages, were all of them as many and as long as they may be.
const MESSAGE_BYTES: i64 = 64 << 20;
/// A message that is a week old was heeded, or never will be.
const MESSAGE_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
const INBOX_BYTES: i64 = 256 << 20;
/// Some thousands of nodes, of 200 bytes each.
const LEASE_BYTES: i64 = 4 << 20;

impl Bus {
    /// Creates what isn't there yet, and brings the rest up to date. Returns the ledger's identity: it changes when
    /// the ledger was lost and made anew.
    pub async fn prepare(&self, options: &StreamOptions) -> Result<String, BusError> {
        let base = |name: &str, subjects: &[&str], max_bytes| Config {
            name: name.to_owned(),
            subjects: subjects.iter().map(|s| (*s).to_owned()).collect(),
            storage: StorageType::File,
            retention: RetentionPolicy::Limits,
            allow_direct: true,
            num_replicas: options.replicas,
            max_bytes,
            ..Config::default()
        };
        let ledger = Config {
            // No bound here: a stream that holds schedules can't refuse what is new, and dropping what is old would drop
            // tasks that wait. The CEO holds the bound, for submissions only (see docs/decisions/0005).
            discard: DiscardPolicy::Old,
            allow_atomic_publish: true,
            allow_message_schedules: true,
            // Nothing here is deduplicated by message id (the ledger refuses by sequence), so keep no window of ids.
            duplicate_window: Duration::from_millis(100),
            ..base(
                subject::TASKS,
                &[
                    subject::ALL_QUEUES,
                    subject::ALL_EVENTS,
                    subject::ALL_SCHEDULES,
                    subject::ALL_STAFF,
                    subject::ALL_ACCOUNTS,
                ],
                -1,
            )
        };
        let logs = Config {
            discard: DiscardPolicy::Old,
            max_age: options.retention,
            // Longer than a chunk's second try can take; every id in the window costs the server memory. The server
            // refuses a window that is longer than what it is about is kept.
            duplicate_window: Duration::from_secs(30).min(options.retention),
            ..base(subject::LOGS, &[subject::ALL_LOGS, subject::ALL_PROMPTS], options.log_bytes)
        };
        let dead = Config {
            discard: DiscardPolicy::Old,
            max_age: options.retention,
            // A task that fails once more has one letter still; all others have a subject of their own.
            max_messages_per_subject: 1,
            ..base(subject::DEAD, &[subject::ALL_DEAD], DEAD_BYTES)
        };
        let inbox = Config {
            discard: DiscardPolicy::New,
            retention: RetentionPolicy::WorkQueue,
            // Other programs publish here: the same `Nats-Msg-Id` within two minutes is stored once; for ever after
            // that, the task id derived from it is refused by the ledger.
            duplicate_window: Duration::from_secs(120),
            ..base(subject::INBOX, &[subject::ALL_INBOXES], INBOX_BYTES)
        };
        // A KV bucket, as others read it; written past the KV client, which has no compare-and-set with a time to live.
        let leases = Config {
            discard: DiscardPolicy::New,
            max_messages_per_subject: 1,
            allow_message_ttl: true,
            allow_rollup: true,
            deny_delete: true,
            ..base(subject::LEASES, &[subject::ALL_LEASES], LEASE_BYTES)
        };
        let messages = Config {
            discard: DiscardPolicy::Old,
            max_age: MESSAGE_AGE,
            max_messages_per_subject: i64::from(MAX_KEPT),
            ..base(subject::MESSAGES, &[subject::ALL_MESSAGES], MESSAGE_BYTES)
        };
        let identity = self.ensure(ledger).await?;
        for config in [logs, dead, inbox, leases, messages] {
            self.ensure(config).await?;
        }
        Ok(identity)
    }

    /// The ledger that is there, if there is one; nothing is created.
    pub async fn ledger(&self) -> Result<Option<LedgerExtent>, BusError> {
        let stream = match self.js.get_stream(subject::TASKS).await {
            Ok(stream) => stream,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(unreachable(error)),
        };
        let info = stream.cached_info();
        Ok(Some(LedgerExtent {
            identity: identity(info),
            bytes: info.state.bytes,
            last: info.state.last_sequence,
            records: info.state.messages,
        }))
    }

    /// The streams that the broker has, and the durable consumers of each: what it could read of its store.
    pub async fn inventory(&self) -> Result<BTreeMap<String, BTreeSet<String>>, BusError> {
        let mut inventory = BTreeMap::new();
        let streams: Vec<String> = self.js.stream_names().try_collect().await.map_err(unreachable)?;
        for name in streams {
            let stream = self.js.get_stream_no_info(&name).await.map_err(unreachable)?;
            let consumers = stream.consumer_names().try_collect().await.map_err(unreachable)?;
            inventory.insert(name, consumers);
        }
        Ok(inventory)
    }

    /// Bytes that the ledger holds, and the sequence of its last message (0: there was none).
    pub async fn ledger_extent(&self) -> Result<(u64, u64), BusError> {
        let stream = self.js.get_stream(subject::TASKS).await.map_err(unreachable)?;
        let state = &stream.cached_info().state;
        Ok((state.bytes, state.last_sequence))
    }

    async fn ensure(&self, config: Config) -> Result<String, BusError> {
        let name = config.name.clone();
        let info = self.js.create_or_update_stream(config).await.map_err(|error| {
            let text = format!("stream {name}: {error}");
            // 10047: the account's or the disk's storage is exceeded.
            if text.contains("10047") || text.contains("insufficient storage") {
                BusError::Full(text)
            } else {
                BusError::Refused(text)
            }
        })?;
        Ok(identity(&info))
    }
}

fn is_missing(error: &GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(refused) if refused.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// A stream's name and when it was created: another one for a stream that was made anew.
fn identity(info: &Info) -> String {
    format!("{}@{}", info.config.name, info.created.unix_timestamp_nanos())
}
