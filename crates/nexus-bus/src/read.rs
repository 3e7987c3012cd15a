//! Reading streams directly, without a consumer: the last message of a subject, or a batch from a sequence on.

use std::time::Duration;

use async_nats::{HeaderMap, Message, StatusCode};
use bytes::Bytes;
use futures_util::StreamExt;
use nexus_core::stored::{self, Unreadable};
use serde_json::json;

use crate::bus::{ANSWER, Bus};
use crate::error::{BusError, unreachable};

/// A message as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) seq: u64,
    pub(crate) subject: String,
    pub(crate) payload: Bytes,
    headers: HeaderMap,
}

impl Stored {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(async_nats::HeaderValue::as_str)
    }

    pub(crate) fn decode<T: stored::Stored>(&self) -> Result<T, BusError> {
        decode(&self.subject, self.seq, &self.payload)
    }

    fn from_direct(message: Message) -> Option<Self> {
        let headers = message.headers?;
        let seq = headers.get("Nats-Sequence")?.as_str().parse().ok()?;
        let subject = headers.get("Nats-Subject")?.as_str().to_owned();
        Some(Self { seq, subject, payload: message.payload, headers })
    }
}

pub(crate) fn decode<T: stored::Stored>(subject: &str, seq: u64, payload: &[u8]) -> Result<T, BusError> {
    stored::read(payload).map_err(|error| match error {
        Unreadable::Newer { found } => BusError::Newer { subject: subject.to_owned(), seq, found },
        Unreadable::Malformed(error) => {
            BusError::Unreadable { subject: subject.to_owned(), seq, cause: error.to_string() }
        }
    })
}

/// Bytes of one batch: enough for many log chunks, far below what a connection may hold.
const BATCH_BYTES: usize = 4 << 20;

impl Bus {
    /// The last message that `pattern` (wildcards allowed) matches, if there is one.
    pub(crate) async fn last(&self, stream: &str, pattern: &str) -> Result<Option<Stored>, BusError> {
        self.get(stream, &json!({ "last_by_subj": pattern })).await
    }

    /// One message, by the question of a direct get.
    pub(crate) async fn get(&self, stream: &str, question: &serde_json::Value) -> Result<Option<Stored>, BusError> {
        let subject = format!("$JS.API.DIRECT.GET.{stream}");
        let answer = self.nats.request(subject, question.to_string().into()).await.map_err(unreachable)?;
        match answer.status {
            None => Ok(Stored::from_direct(answer)),
            Some(StatusCode::NOT_FOUND) => Ok(None),
            Some(status) => Err(BusError::Refused(format!("direct get of {stream}: {status}"))),
        }
    }

    /// Up to `limit` messages that `pattern` matches, from sequence `from` on, and whether more follow.
    pub(crate) async fn read(
        &self,
        stream: &str,
        pattern: &str,
        from: u64,
        limit: usize,
    ) -> Result<(Vec<Stored>, bool), BusError> {
        let question = json!({
            "seq": from.max(1), "next_by_subj": pattern, "batch": limit, "max_bytes": BATCH_BYTES,
        });
        let inbox = self.nats.new_inbox();
        let mut answers = self.nats.subscribe(inbox.clone()).await.map_err(unreachable)?;
        self.nats
            .publish_with_reply(format!("$JS.API.DIRECT.GET.{stream}"), inbox, question.to_string().into())
            .await
            .map_err(unreachable)?;
        let mut found = Vec::new();
        loop {
            let answer = tokio::time::timeout(ANSWER, answers.next())
                .await
                .map_err(|_| unreachable(format!("reading {stream} took longer than {ANSWER:?}")))?
                .ok_or_else(|| unreachable("the connection was closed"))?;
            match answer.status {
                None => found.extend(Stored::from_direct(answer)),
                Some(StatusCode::NOT_FOUND) => return Ok((found, false)),
                Some(status) if status.as_u16() == 204 => {
                    let pending = answer.headers.as_ref().and_then(|headers| headers.get("Nats-Num-Pending"));
                    let more = pending.is_some_and(|pending| pending.as_str() != "0");
                    return Ok((found, more));
                }
                Some(status) => return Err(BusError::Refused(format!("reading {stream}: {status}"))),
            }
        }
    }
}

/// The time that a follower waits for a live message before it looks at the stream itself, in case one was dropped.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(2);
