//! The floor of a submission: the same message, published by async-nats to a stream like the ledger, and acknowledged.

use serde::Deserialize;
use serde_json::Value;

use crate::stream::{Template, open, queue};
use crate::{LoadError, Site, timing};

#[derive(Debug, Deserialize)]
pub(crate) struct Publish {
    data_dir: Site,
    count: usize,
    in_flight: usize,
    /// True: the stream is told what it must not hold yet, as the CEO tells it.
    #[serde(default)]
    compare_and_set: bool,
}

impl Publish {
    pub(crate) async fn perform(self) -> Result<Value, LoadError> {
        let (jetstream, _) = open(&self.data_dir).await?;
        let entry = Template::of(&jetstream, "nexus.queue.*.*.*").await?;
        let expect = self.compare_and_set.then_some(0);
        let mut figures = timing::repeat(self.count, self.in_flight, |_| {
            let entry = entry.clone();
            async move { entry.store(queue("bench"), expect).await.map(drop) }
        })
        .await?;
        figures["bytes"] = entry.bytes().into();
        Ok(figures)
    }
}
