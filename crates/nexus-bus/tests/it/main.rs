//! The bus with a real nats-server of each test's own.
#![cfg(test)]
#![cfg(unix)]

mod accounts;
mod claim;
mod crash;
mod dead;
mod envelope;
mod fence;
mod follow;
mod full_disk;
mod gone;
mod inbox;
mod ledger;
mod logs;
mod lost_answer;
mod lost_queue;
mod messages;
mod proxy;
mod queue;
mod service;
mod small_disk;
mod snapshot;
mod staff;
mod support;
mod tail;
