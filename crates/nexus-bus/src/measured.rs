//! For benchmarks alone: how messages are made and read, without a server.

use async_nats::Message;
use bytes::Bytes;
use nexus_core::event::Event;
use nexus_core::task::QueueEntry;
use nexus_core::view::Record;

use crate::error::BusError;
use crate::ledger::{event_message, first_message};
use crate::queue::{Delivery, delivery};
use crate::tail;

/// The message of a task's first entry, headers and all, as [`crate::Bus::submit`] sends it: something to drop.
pub fn submission(entry: &QueueEntry) -> Result<impl std::fmt::Debug + use<>, BusError> {
    let message = first_message(entry)?;
    Ok((message.headers.map(), message))
}

/// The message of an event, as [`crate::Bus::append`] sends it.
pub fn event(event: &Event, expect: u64) -> Result<impl std::fmt::Debug + use<>, BusError> {
    let message = event_message(event, None)?;
    let pattern = message.subject.clone();
    let message = message.expecting(&pattern, expect);
    Ok((message.headers.map(), message))
}

/// A message of the ledger, as it is folded.
pub fn record(subject: &str, seq: u64, payload: &[u8]) -> Result<Record, BusError> {
    tail::record(subject, seq, payload)
}

/// A delivery to a department that came with this acknowledgement subject.
#[must_use]
pub fn delivered(subject: &str, ack: &str, payload: &Bytes) -> Option<Delivery> {
    delivery(Message {
        subject: subject.into(),
        reply: Some(ack.into()),
        payload: payload.clone(),
        headers: None,
        status: None,
        description: None,
        length: payload.len(),
    })
}
