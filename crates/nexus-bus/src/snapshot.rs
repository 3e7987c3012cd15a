//! Copies of whole streams, which the server makes while it goes on, and streams made from such copies.
//!
//! A copy holds a stream's messages up to one moment, in the server's own form. Its consumers are left out: their state is
//! read at another moment than the messages, so that one could claim work that the copy has never heard of.

use std::io::{self, Read};
use std::time::Duration;

use async_nats::Request;
use bytes::Bytes;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bus::Bus;
use crate::client::Client;
use crate::error::{BusError, unreachable};
use crate::subject;

/// The streams that are worth a copy, in the order in which they are to be copied. Work that is taken from the inbox in
/// between is in both copies then, and the ledger knows it; the other way round it would be in neither. Leases are left out:
/// nobody who held one is there when a copy is used.
pub const COPIED: [&str; 5] = [subject::INBOX, subject::TASKS, subject::DEAD, subject::MESSAGES, subject::LOGS];

/// The server's description of a stream that it copies, as in the `backup.json` of `nats stream backup`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamCopy {
    pub config: Value,
    pub state: Value,
}

/// A step of copying.
#[derive(Clone, Copy, Debug)]
pub enum CopyStep<'a> {
    /// It begins, or begins anew: what has come before counts no more.
    Begin,
    Bytes(&'a [u8]),
}

/// Why a stream could not be copied, or made from its copy.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("{0}")]
    Bus(#[from] BusError),
    /// The file of the copy.
    #[error("{0}")]
    File(#[from] io::Error),
    #[error("the ledger changes faster than it can be copied")]
    Restless,
}

/// The longest wait for a copy to begin, or for a stream made from one: the server reads all of it.
const BEGIN_LIMIT: Duration = Duration::from_secs(600);
/// The longest wait for a piece of a copy.
const PIECE_LIMIT: Duration = Duration::from_secs(30);
/// Bytes of one piece on the way back: as many as the server sends.
const PIECE: usize = 128 * 1024;
/// Copies of the ledger that are made at most, until nothing is deleted from it meanwhile. A small one takes milliseconds.
const TRIES: u32 = 20;
/// The server's code for a stream that is not there.
const NOT_FOUND: u64 = 10059;

impl Bus {
    /// Copies a stream; `to` gets its bytes. None: there is no such stream.
    ///
    /// The server reads the messages one after the other while others are deleted. The ledger's copy has to be what the ledger
    /// was at one moment: a schedule that fires is deleted, and what it has queued comes too late for the copy. So it is made
    /// anew until nothing was deleted meanwhile.
    pub async fn copy_stream(
        &self,
        name: &str,
        mut to: impl FnMut(CopyStep<'_>) -> io::Result<()>,
    ) -> Result<Option<StreamCopy>, CopyError> {
        for _ in 0..TRIES {
            to(CopyStep::Begin)?;
            let Some(copy) = self.copy_once(name, &mut to).await? else { return Ok(None) };
            if name != subject::TASKS || self.is_of_one_moment(&copy).await? {
                return Ok(Some(copy));
            }
        }
        Err(CopyError::Restless)
    }

    async fn copy_once(
        &self,
        name: &str,
        to: &mut impl FnMut(CopyStep<'_>) -> io::Result<()>,
    ) -> Result<Option<StreamCopy>, CopyError> {
        let inbox = self.nats.new_inbox();
        let mut pieces = self.nats.subscribe(inbox.clone()).await.map_err(unreachable)?;
        let question = json!({ "deliver_subject": inbox, "no_consumers": true, "jsck": true });
        let Some(answer) = self.ask_server("SNAPSHOT", name, &question).await? else { return Ok(None) };
        let copy = serde_json::from_value(answer).map_err(|error| BusError::Refused(format!("{name}: {error}")))?;
        loop {
            let piece = tokio::time::timeout(PIECE_LIMIT, pieces.next())
                .await
                .map_err(|_| unreachable(format!("the copy of {name} stands still")))?
                .ok_or_else(|| unreachable("the connection was closed"))?;
            if piece.payload.is_empty() {
                return match piece.status {
                    Some(status) if status.as_u16() >= 400 => {
                        let why = piece.description.unwrap_or_default();
                        Err(BusError::Refused(format!("the copy of {name} broke off: {status} {why}")).into())
                    }
                    _ => Ok(Some(copy)),
                };
            }
            to(CopyStep::Bytes(&piece.payload))?;
            // The server sends a window of pieces, and goes on as they are acknowledged.
            if let Some(reply) = piece.reply {
                self.nats.publish(reply, Bytes::new()).await.map_err(unreachable)?;
            }
        }
    }

    /// True if nothing was deleted from the ledger since the copy began, and it doesn't end between messages that were written
    /// as one.
    async fn is_of_one_moment(&self, copy: &StreamCopy) -> Result<bool, BusError> {
        let (messages, last) = (copy.state["messages"].as_u64(), copy.state["last_seq"].as_u64());
        let (Some(messages), Some(last)) = (messages, last) else {
            return Err(BusError::Refused("the server doesn't say what the copy of the ledger holds".to_owned()));
        };
        let now = self.ledger().await?.ok_or_else(|| BusError::Refused("the ledger is gone".to_owned()))?;
        if last.saturating_sub(messages) != now.last.saturating_sub(now.records) {
            return Ok(false);
        }
        if last == 0 {
            return Ok(true);
        }
        let end = self.get(subject::TASKS, &json!({ "seq": last })).await?;
        Ok(end.is_none_or(|end| end.header("Nats-Batch-Id").is_none() || end.header("Nats-Batch-Commit").is_some()))
    }

    /// Makes a stream from its copy; there must be none of that name.
    pub async fn stream_from_copy(&self, name: &str, copy: &StreamCopy, from: &mut impl Read) -> Result<(), CopyError> {
        #[derive(Deserialize)]
        struct Accepted {
            deliver_subject: String,
        }
        let question = serde_json::to_value(copy).map_err(|error| BusError::Refused(error.to_string()))?;
        let answer = self.ask_server("RESTORE", name, &question).await?;
        let answer = answer.ok_or_else(|| BusError::Refused(format!("{name}: it is not there")))?;
        let Accepted { deliver_subject } =
            serde_json::from_value(answer).map_err(|error| BusError::Refused(format!("{name}: {error}")))?;
        let mut piece = vec![0; PIECE];
        loop {
            let length = from.read(&mut piece)?;
            let limit = if length == 0 { BEGIN_LIMIT } else { PIECE_LIMIT };
            // An empty piece ends it.
            let request = Request::new().payload(Bytes::copy_from_slice(&piece[..length])).timeout(Some(limit));
            let answer = self.nats.send_request(deliver_subject.clone(), request).await.map_err(unreachable)?;
            if !answer.payload.is_empty() {
                refusal(name, &answer.payload)?;
            }
            if length == 0 {
                return Ok(());
            }
        }
    }

    /// Asks the server about a stream. None: there is no such stream.
    async fn ask_server(&self, verb: &str, name: &str, question: &Value) -> Result<Option<Value>, BusError> {
        let request = Request::new().payload(question.to_string().into()).timeout(Some(BEGIN_LIMIT));
        let subject = format!("$JS.API.STREAM.{verb}.{name}");
        let answer = self.nats.send_request(subject, request).await.map_err(unreachable)?;
        refusal(name, &answer.payload)
    }
}

/// The server's answer, unless it is a refusal. None: there is no such stream.
fn refusal(name: &str, answer: &[u8]) -> Result<Option<Value>, BusError> {
    let answer: Value =
        serde_json::from_slice(answer).map_err(|_| BusError::Refused(format!("{name}: no answer that can be read")))?;
    let Some(error) = answer.get("error") else { return Ok(Some(answer)) };
    if error["err_code"] == NOT_FOUND {
        return Ok(None);
    }
    Err(BusError::Refused(format!("{name}: {}", error["description"].as_str().unwrap_or("it doesn't say why"))))
}

impl Client {
    /// As [`Bus::copy_stream`].
    pub async fn copy_stream(
        &self,
        name: &str,
        to: impl FnMut(CopyStep<'_>) -> io::Result<()>,
    ) -> Result<Option<StreamCopy>, CopyError> {
        self.bus().copy_stream(name, to).await
    }
}
