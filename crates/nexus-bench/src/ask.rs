//! Requests and answers: to the CEO, and to a process that only answers, which is the floor.

use std::time::Duration;

use async_nats::{HeaderMap, Request};
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::error::nats;
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
        let mut asked = client.subscribe(self.subject).await.map_err(nats)?;
        let (mut stdin, mut rest) = (tokio::io::stdin(), Vec::new());
        let mut ended = std::pin::pin!(stdin.read_to_end(&mut rest));
        let mut answered = 0_u64;
        loop {
            tokio::select! {
                message = asked.next() => match message {
                    Some(async_nats::Message { reply: Some(reply), .. }) => {
                        client.publish(reply, r#"{"ok":null}"#.into()).await.map_err(nats)?;
                        answered += 1;
                    }
                    Some(_) => {}
                    None => break,
                },
                _ = &mut ended => break,
            }
        }
        Ok(json!({ "answered": answered }))
    }
}
