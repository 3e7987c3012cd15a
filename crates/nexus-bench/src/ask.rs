//! Requests and answers: to the CEO, and to a process that only answers, or stores something before it does: the floors.

use std::io::Write as _;
use std::time::Duration;

use async_nats::{Client, HeaderMap, Request, Subject};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::error::nats;
use crate::stream::{Template, open, queue};
use crate::{LoadError, Site, timing};

#[derive(Debug, Deserialize)]
pub(crate) struct Ask {
    data_dir: Site,
    subject: String,
    count: usize,
    in_flight: usize,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Respond {
    data_dir: Site,
    subject: String,
    /// Each answer follows what a submission has to store, and its acknowledgement: the least that somebody costs who takes work
    /// by NATS and keeps it there.
    #[serde(default)]
    stores: bool,
}

/// Only a fault reaches it.
const PATIENCE: Duration = Duration::from_secs(15);

impl Ask {
    pub(crate) async fn perform(self) -> Result<Value, LoadError> {
        let client = self.data_dir.raw().await?;
        timing::repeat(self.count, self.in_flight, |_| async {
            // As the company's client asks.
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", nexus_bus::new_traceparent());
            let request = Request::new().headers(headers).payload("{}".into()).timeout(Some(PATIENCE));
            let answer = client.send_request(self.subject.clone(), request).await.map_err(nats)?;
            match answer.payload.is_empty() {
                true => Err(LoadError::Unmet(format!("{} answers nothing", self.subject))),
                false => Ok(()),
            }
        })
        .await
    }
}

impl Respond {
    pub(crate) async fn perform(self) -> Result<Value, LoadError> {
        let client = self.data_dir.raw().await?;
        let entry = match self.stores {
            true => Some(Template::of(&open(&self.data_dir).await?.0, "nexus.queue.*.*.*").await?),
            false => None,
        };
        let mut asked = client.subscribe(self.subject).await.map_err(nats)?;
        client.flush().await.map_err(nats)?;
        writeln!(std::io::stdout(), "answering")?;
        let (mut stdin, mut rest) = (tokio::io::stdin(), Vec::new());
        let mut ended = std::pin::pin!(stdin.read_to_end(&mut rest));
        let mut under_way = FuturesUnordered::new();
        let mut answered = 0_u64;
        loop {
            tokio::select! {
                message = asked.next() => match message {
                    Some(async_nats::Message { reply: Some(reply), .. }) => {
                        under_way.push(answer(&client, entry.as_ref(), reply));
                    }
                    Some(_) => {}
                    None => break,
                },
                Some(done) = under_way.next() => {
                    done?;
                    answered += 1;
                }
                _ = &mut ended => break,
            }
        }
        Ok(json!({ "answered": answered }))
    }
}

async fn answer(client: &Client, entry: Option<&Template>, reply: Subject) -> Result<(), LoadError> {
    if let Some(entry) = entry {
        entry.store(queue("respond"), Some(0)).await?;
    }
    client.publish(reply, r#"{"ok":null}"#.into()).await.map_err(nats)
}
