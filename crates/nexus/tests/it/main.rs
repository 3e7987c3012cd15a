//! The built program from end to end: real companies in directories of their own, asked by the command line alone.
#![cfg(test)]
#![cfg(unix)]

mod cancel;
mod delegate;
mod environment;
mod idempotency;
mod limits;
mod list;
mod logs;
mod priority;
mod retries;
mod retry;
mod run;
mod support;
