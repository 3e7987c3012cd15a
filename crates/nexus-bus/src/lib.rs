//! NATS: streams, queues, claims, logs, and [`Client`], the one door in. The only crate that knows async-nats.
//!
//! The ledger is the queue: a task's whole life is one stream of queue entries and events, and whoever wins a
//! compare-and-set on a task's last event decides what happens to it. See `docs/architecture.md`.

mod accounts;
mod address;
mod bus;
mod claim;
mod client;
mod control;
mod dead;
mod envelope;
mod error;
mod fit;
mod inbox;
mod lease;
mod ledger;
mod logs;
#[doc(hidden)]
pub mod measured;
mod messages;
mod prompts;
mod publish;
mod queue;
mod read;
mod room;
mod service;
mod snapshot;
mod staff;
mod streams;
mod subject;
mod suits;
mod tail;
mod wake;

pub use bus::{Access, Bus, Credentials, Tls};
pub use claim::Claim;
pub use client::{Client, LogPage};
pub use control::{Order, Orders, Waiting};
pub use dead::Dead;
pub use envelope::new_traceparent;
pub use error::BusError;
pub use inbox::{Letter, Letters};
pub use lease::{LeaseState, Renewals};
pub use ledger::{Last, Submitted};
pub use logs::LogWriter;
pub use queue::{Delivery, Queues};
pub use service::{Ask, CeoService, Question, Responder};
pub use snapshot::{COPIED, CopyError, CopyStep, StreamCopy};
pub use streams::{LedgerExtent, StreamOptions};
pub use subject::TASKS as LEDGER;
pub use tail::{Batch, Tail};
