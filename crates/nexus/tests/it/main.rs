//! The built program from end to end: real companies in directories of their own, asked by the command line alone.
#![cfg(test)]
#![cfg(unix)]

mod backpressure;
mod bad_input;
mod broken_start;
mod cancel;
mod completions;
mod crash;
mod delay;
mod delegate;
mod doesnt_reload;
mod environment;
mod external_nats;
mod history;
mod hurry;
mod idempotency;
mod limits;
mod list;
mod logs;
mod looking;
mod many;
mod postgres;
mod priority;
mod reload;
mod restart;
mod retries;
mod retry;
mod run;
mod support;
mod workspaces;
