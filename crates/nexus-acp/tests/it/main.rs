//! Conversations over real streams, with an agent that plays scripts: slow, silent, greedy, deaf.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on says so by failing"
)]
#![cfg_attr(unix, expect(clippy::print_stderr, reason = "what a real agent says is to be seen"))]

mod agent;
mod files;
#[cfg(unix)]
mod processes;
mod questions;
mod streams;
mod terminals;
