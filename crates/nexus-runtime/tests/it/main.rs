//! A company at work, with a real server, real actors and real processes of each test's own.
#![cfg(test)]
#![cfg(unix)]

mod audit;
mod cancel;
mod chaos;
mod company;
mod former;
mod lease;
mod letters;
mod priority;
mod proxy;
mod reload;
mod retry;
mod stop;
mod supervision;
mod support;
mod triggers;
mod wire;
