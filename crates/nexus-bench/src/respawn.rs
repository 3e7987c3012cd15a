//! The floor of supervision for whoever keeps a ledger on NATS: a program that is started again when it has ended, once its end and
//! its start are written down, each expecting the one before to be the last. Until it is killed itself.

use serde::Deserialize;
use serde_json::Value;

use crate::program::Program;
use crate::stream::{Template, open};
use crate::{LoadError, Site};

#[derive(Debug, Deserialize)]
pub(crate) struct Respawn {
    data_dir: Site,
    command: Vec<String>,
}

impl Respawn {
    pub(crate) async fn perform(self) -> Result<Value, LoadError> {
        let (jetstream, _) = open(&self.data_dir).await?;
        let started = Template::of_event(&jetstream, "nexus.task.started").await?;
        let failed = Template::of_event(&jetstream, "nexus.task.attempt_failed").await?;
        let events = format!("bench.event.respawn.{}", uuid::Uuid::now_v7());
        let program = Program::new(&self.command, false)?;
        let mut last = 0;
        loop {
            last = started.store(events.clone(), Some(last)).await?;
            program.run().await?;
            last = failed.store(events.clone(), Some(last)).await?;
        }
    }
}
