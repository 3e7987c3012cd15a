//! A department's queue: one durable pull consumer for each of its lanes, and a pull that takes exactly what is asked for.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::{Message, StatusCode, Subject, Subscriber};
use futures_util::{Stream, StreamExt, stream};
use nexus_core::id::DepartmentName;
use nexus_core::lane::Lane;
use nexus_core::task::QueueEntry;
use serde_json::json;

use crate::bus::{ANSWER, Bus};
use crate::error::{BusError, unreachable};
use crate::read::decode;
use crate::subject;

/// One delivery of a queue entry: it is ours for the lease, and must be ended by an event or given back.
#[derive(Debug)]
pub struct Delivery {
    /// The entry, or why it can't be read.
    pub entry: Result<QueueEntry, BusError>,
    /// It was delivered before: its former holder's lease has lapsed.
    pub redelivered: bool,
    /// As it is stored, for a dead letter.
    pub payload: bytes::Bytes,
    pub subject: String,
    pub(crate) ack: Subject,
}

impl Delivery {
    /// The entry's sequence on the ledger.
    #[must_use]
    pub fn seq(&self) -> u64 {
        // Unknown is never older than anything.
        ack_token(&self.ack, 1).unwrap_or(u64::MAX)
    }

    /// True when this brings the very queue entry that `earlier` brought, the delivery that a `started` event keeps.
    #[must_use]
    pub fn is_again(&self, earlier: &str) -> bool {
        ack_token(&self.ack, 1).is_some_and(|seq| ack_token(earlier, 1) == Some(seq))
    }
}

/// A department's queues on this connection.
#[derive(Debug)]
pub struct Queues {
    bus: Bus,
    department: DepartmentName,
    inbox: String,
    answers: Subscriber,
    pulls: u64,
}

/// Deliveries that may be unacknowledged at once in one queue: above any number of workers a department can have.
const MAX_HELD: i64 = 100_000;

impl Queues {
    /// Opens (and creates, where needed) the queues of a department. `lease` is the consumers' ack wait.
    pub async fn open(bus: Bus, department: DepartmentName, lease: Duration) -> Result<Self, BusError> {
        let stream = bus.js.get_stream_no_info(subject::TASKS).await.map_err(unreachable)?;
        let creations = Lane::all().map(|lane| {
            stream.create_consumer(pull::Config {
                durable_name: Some(consumer(&department, lane)),
                description: Some(match lane {
                    Lane::Again => format!("tasks of {department} that were interrupted"),
                    Lane::Priority(priority) => format!("tasks of {department} that wait at priority {priority}"),
                }),
                filter_subject: subject::queue_filter(&department, lane),
                ack_policy: AckPolicy::Explicit,
                ack_wait: lease,
                // The ledger decides how often a task is tried, never the transport.
                max_deliver: -1,
                max_ack_pending: MAX_HELD,
                deliver_policy: DeliverPolicy::All,
                ..pull::Config::default()
            })
        });
        for created in futures_util::future::join_all(creations).await {
            created.map_err(|error| BusError::Refused(format!("queues of {department}: {error}")))?;
        }
        let inbox = bus.nats.new_inbox();
        let answers = bus.nats.subscribe(format!("{inbox}.*")).await.map_err(unreachable)?;
        Ok(Self { bus, department, inbox, answers, pulls: 0 })
    }

    /// Takes at most `limit` entries that wait now; fewer means that no more wait.
    pub async fn pull(&mut self, lane: impl Into<Lane>, limit: usize) -> Result<Vec<Delivery>, BusError> {
        let mut taken = Vec::new();
        self.pulls += 1;
        let reply = format!("{}.{}", self.inbox, self.pulls);
        let consumer = consumer(&self.department, lane.into());
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{consumer}", subject::TASKS);
        let question = json!({ "batch": limit, "no_wait": true });
        self.bus
            .nats
            .publish_with_reply(subject, reply.clone(), question.to_string().into())
            .await
            .map_err(unreachable)?;
        while taken.len() < limit {
            let message = match tokio::time::timeout(ANSWER, self.answers.next()).await {
                Ok(Some(message)) => message,
                Ok(None) => return Err(unreachable("the connection was closed")),
                Err(_) => {
                    // What comes later has been ours for a time that nobody knows: it comes again, to whom it may.
                    self.listen_anew().await?;
                    if !taken.is_empty() {
                        return Ok(taken);
                    }
                    return Err(unreachable(format!("pulling {consumer} took longer than {ANSWER:?}")));
                }
            };
            match message.status {
                None => taken.extend(delivery(message)),
                // The end of some earlier pull.
                Some(_) if message.subject.as_str() != reply => {}
                Some(StatusCode::NOT_FOUND | StatusCode::TIMEOUT) => break,
                Some(status) => {
                    let cause = message.description.unwrap_or_default();
                    let error = BusError::Refused(format!("pulling {consumer}: {status} {cause}"));
                    if taken.is_empty() {
                        return Err(error);
                    }
                    tracing::debug!("{error}");
                    break;
                }
            }
        }
        Ok(taken)
    }

    async fn listen_anew(&mut self) -> Result<(), BusError> {
        self.inbox = self.bus.nats.new_inbox();
        self.answers = self.bus.nats.subscribe(format!("{}.*", self.inbox)).await.map_err(unreachable)?;
        Ok(())
    }

    /// Calls when something may wait, and in which lane.
    pub async fn wakes(bus: &Bus, department: &DepartmentName) -> Result<impl Stream<Item = Lane> + use<>, BusError> {
        let calls = bus.nats.subscribe(subject::wake(department)).await.map_err(unreachable)?;
        let calls = calls.filter_map(|message| async move { std::str::from_utf8(&message.payload).ok()?.parse().ok() });
        Ok(stream::select(calls, bus.wakes.rung(department)))
    }
}

impl Bus {
    /// Ends a delivery that needs nothing more done.
    pub async fn drop_delivery(&self, delivery: &Delivery) {
        self.end_delivery(&delivery.ack).await;
    }

    /// Gives a delivery back: it is delivered again after a while.
    pub async fn return_delivery(&self, delivery: &Delivery, after: Duration) {
        let nak = format!("-NAK {}", json!({ "delay": after.as_nanos() }));
        if let Err(error) = self.nats.publish(delivery.ack.clone(), nak.into()).await {
            tracing::debug!("could not give a delivery back: {error}");
        }
    }
}

/// A consumer's name. Department names hold no dot, and `-<lane>` ends each, with no `-` in a lane: no two can collide.
fn consumer(department: &DepartmentName, lane: Lane) -> String {
    format!("{department}-{lane}")
}

pub(crate) fn delivery(message: Message) -> Option<Delivery> {
    let ack = message.reply?;
    let redelivered = ack_token(&ack, 0).unwrap_or(2) > 1;
    let subject = message.subject.to_string();
    let entry = decode(&subject, ack_token(&ack, 1).unwrap_or(0), &message.payload);
    Some(Delivery { entry, redelivered, payload: message.payload, subject, ack })
}

/// The n-th number of an acknowledgement subject: how often it was delivered, its sequence in the stream, its number at its
/// consumer, the time, what followed it.
pub(crate) fn ack_token(ack: &str, n: usize) -> Option<u64> {
    // $JS.ACK.<stream>.<consumer>.<delivered>... or, with a domain, $JS.ACK.<domain>.<account>.<stream>.<consumer>...
    let tokens: Vec<_> = ack.split('.').collect();
    let first = if tokens.len() >= 11 { 6 } else { 4 };
    tokens.get(first + n)?.parse().ok()
}
