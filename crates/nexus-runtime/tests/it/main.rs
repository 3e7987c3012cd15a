//! A company at work, with a real server, real actors and real processes of each test's own.
#![cfg(test)]
#![cfg(unix)]

mod able;
mod accounts;
mod again;
mod audit;
mod cancel;
mod chaos;
mod company;
mod dead;
mod fetch;
mod former;
mod kept_triggers;
mod lease;
mod letters;
mod lost_queue;
mod newer;
mod priority;
mod proxy;
mod quarantine;
mod reload;
mod retry;
mod shortened;
mod stop;
mod supervision;
mod support;
mod trees;
mod triggers;
mod wire;
