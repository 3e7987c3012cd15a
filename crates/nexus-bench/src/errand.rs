//! The least that a task costs whoever keeps a ledger on NATS: an entry, taken from a queue; `started`; the program, spawned and
//! waited for; `completed`, which expects `started` to be the last; and the entry's end. One process, one connection, no checks.

use std::process::Stdio;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use futures_util::future::try_join_all;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::Value;

use crate::error::nats;
use crate::stream::{Template, open, queue};
use crate::{LoadError, Site, timing};

#[derive(Debug, Deserialize)]
pub(crate) struct Errand {
    data_dir: Site,
    command: Vec<String>,
    count: usize,
    at_once: usize,
}

/// Entries that wait for their acknowledgement while a batch is written.
const WINDOW: usize = 64;
const CONSUMER: &str = "errands";
/// How long a pull may wait: only a fault reaches it.
const PATIENCE: Duration = Duration::from_secs(15);

struct Worker {
    consumer: PullConsumer,
    event: Template,
    command: Vec<String>,
}

impl Errand {
    pub(crate) async fn perform(self) -> Result<Value, LoadError> {
        let (jetstream, stream) = open(&self.data_dir).await?;
        // What an earlier run has left there.
        stream.purge().filter("bench.queue.errand.>").await.map_err(nats)?;
        let config = pull::Config {
            durable_name: Some(CONSUMER.to_owned()),
            filter_subject: "bench.queue.errand.5.*".to_owned(),
            ack_policy: AckPolicy::Explicit,
            max_ack_pending: 100_000,
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(config).await.map_err(nats)?;
        let entry = Template::of(&jetstream, "nexus.queue.*.*.*").await?;
        let event = Template::of(&jetstream, "nexus.event.*.*").await?;
        let begun = Instant::now();
        let written = stream::iter(0..self.count)
            .map(|_| entry.store(queue("errand"), Some(0)))
            .buffer_unordered(WINDOW)
            .try_for_each(|_| async { Ok(()) });
        let at_once = self.at_once.max(1);
        let workers = (0..at_once).map(|number| {
            let worker = Worker { consumer: consumer.clone(), event: event.clone(), command: self.command.clone() };
            // Those that are left over, one each for the first.
            let share = self.count / at_once + usize::from(number < self.count % at_once);
            worker.work(share)
        });
        let ((), took) = tokio::try_join!(written, try_join_all(workers))?;
        Ok(timing::figures(took.into_iter().flatten().collect(), begun.elapsed()))
    }
}

impl Worker {
    async fn work(self, share: usize) -> Result<Vec<Duration>, LoadError> {
        let mut took = Vec::with_capacity(share);
        while took.len() < share {
            let begun = Instant::now();
            self.one().await?;
            took.push(begun.elapsed());
        }
        Ok(took)
    }

    async fn one(&self) -> Result<(), LoadError> {
        let mut batch = self.consumer.batch().max_messages(1).expires(PATIENCE).messages().await.map_err(nats)?;
        let entry = batch.next().await.ok_or_else(|| LoadError::Unmet("no entry was there to take".to_owned()))?;
        let entry = entry.map_err(nats)?;
        let id = entry.subject.rsplit('.').next().unwrap_or_default();
        let events = format!("bench.event.errand.{id}");
        let started = self.event.store(events.clone(), Some(0)).await?;
        let (program, arguments) =
            self.command.split_first().ok_or_else(|| LoadError::Unmet("there is no command".to_owned()))?;
        #[expect(clippy::disallowed_types, reason = "a floor spawns, and does nothing else for it")]
        let mut command = tokio::process::Command::new(program);
        let command = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let status = command.status().await?;
        if !status.success() {
            return Err(LoadError::Unmet(format!("{program} ended with {status}")));
        }
        self.event.store(events, Some(started)).await?;
        entry.ack().await.map_err(nats)
    }
}
