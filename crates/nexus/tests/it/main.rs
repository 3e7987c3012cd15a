//! The built program from end to end: real companies in directories of their own, asked by the command line alone.
#![cfg(test)]
#![cfg(unix)]

mod backpressure;
mod bad_input;
mod broken_start;
mod broker_hangs;
mod cancel;
mod completions;
mod confined;
mod crash;
mod damaged_store;
mod delay;
mod delegate;
mod doesnt_reload;
mod environment;
mod external_nats;
mod full_disk;
mod guard;
mod history;
mod hurry;
mod idempotency;
mod known_key;
mod limits;
mod list;
mod logs;
mod long_reason;
mod looking;
mod many;
mod network;
mod nodes;
mod open_files;
mod postgres;
mod priority;
mod quarantine;
mod reload;
mod restart;
mod retries;
mod retry;
mod retry_log;
mod run;
mod slow_workspace;
mod staff;
mod support;
mod upgrade;
mod went_back;
mod workspaces;
