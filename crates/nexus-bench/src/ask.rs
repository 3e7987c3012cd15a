//! Requests and answers: to the CEO, and to a process that only answers, or stores something before it does: the floors.

use std::io::Write as _;
use std::time::Duration;

use async_nats::{Client, HeaderMap, Request};
use bytes::Bytes;
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
        timing::repeat(self.count, self.in_flight, |_| async { ask(&client, &self.subject).await.map(drop) }).await
    }
}

impl Respond {
    pub(crate) async fn perform(self) -> Result<Value, LoadError> {
        let client = self.data_dir.raw().await?;
        let entry = match self.stores {
            true => Some(Template::of(&open(&self.data_dir).await?.0, "nexus.queue.*.*.*").await?),
            false => None,
        };
        respond(&client, self.subject, || async {
            if let Some(entry) = &entry {
                entry.store(queue("respond"), Some(0)).await?;
            }
            Ok(r#"{"ok":null}"#.into())
        })
        .await
    }
}

/// Asks as the company's client does, and returns the answer.
pub(crate) async fn ask(client: &Client, subject: &str) -> Result<Bytes, LoadError> {
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", nexus_bus::new_traceparent());
    let request = Request::new().headers(headers).payload("{}".into()).timeout(Some(PATIENCE));
    let answer = client.send_request(subject.to_owned(), request).await.map_err(nats)?;
    match answer.payload.is_empty() {
        true => Err(LoadError::Unmet(format!("{subject} answers nothing"))),
        false => Ok(answer.payload),
    }
}

/// Answers on a subject until standard input ends, each time with what `answer` comes to, whatever was asked.
pub(crate) async fn respond<F>(client: &Client, subject: String, answer: impl Fn() -> F) -> Result<Value, LoadError>
where
    F: Future<Output = Result<Bytes, LoadError>>,
{
    let mut asked = client.subscribe(subject).await.map_err(nats)?;
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
                    let answer = answer();
                    under_way.push(async move { client.publish(reply, answer.await?).await.map_err(nats) });
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
