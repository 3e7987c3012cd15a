//! The floor of supervision for whoever keeps a ledger on NATS: a program that is started again when it has ended, once its end and
//! its start are written down, each expecting the one before to be the last. Until it is killed itself.
//!
//! The floor of a respawn that loses nothing: the next piece of work is queued before it is taken, and the
//! program is started by a warden that ends what it has started. With that it is all that a replacement by nexus needs, in a
//! straight line: no actors, no checks, no history, no logs.

use serde::Deserialize;
use serde_json::Value;

use crate::error::nats;
use crate::program::Program;
use crate::stream::{Template, emptied, open, queue, take};
use crate::{LoadError, Site};

#[derive(Debug, Deserialize)]
pub(crate) struct Respawn {
    data_dir: Site,
    command: Vec<String>,
    /// Each start is of an entry that was queued and taken, by a warden as nexus's are.
    #[serde(default)]
    queued: bool,
}

/// Whose entries they are; the consumer is called so too.
const OWN: &str = "respawn";

impl Respawn {
    pub(crate) async fn perform(self) -> Result<Value, LoadError> {
        let (jetstream, stream) = open(&self.data_dir).await?;
        let started = Template::of_event(&jetstream, "nexus.task.started").await?;
        let failed = Template::of_event(&jetstream, "nexus.task.attempt_failed").await?;
        let entry = Template::of(&jetstream, "nexus.queue.*.*.*").await?;
        let events = format!("bench.event.respawn.{}", uuid::Uuid::now_v7());
        let program = Program::new(&self.command, self.queued)?;
        let consumer = if self.queued { Some(emptied(&stream, OWN).await?) } else { None };
        let (mut last, mut ended) = (0, None::<async_nats::jetstream::Message>);
        loop {
            if let Some(consumer) = &consumer {
                entry.store(queue(OWN), Some(0)).await?;
                // What was queued last is over when what follows from it is queued.
                if let Some(before) = ended.take() {
                    before.ack().await.map_err(nats)?;
                }
                let taken = take(consumer).await?;
                ended = Some(taken.ok_or_else(|| LoadError::Unmet("no entry was there to take".to_owned()))?);
            }
            last = started.store(events.clone(), Some(last)).await?;
            program.run().await?;
            last = failed.store(events.clone(), Some(last)).await?;
        }
    }
}
