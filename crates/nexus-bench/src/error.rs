//! Why an order could not be done.

use nexus_bus::BusError;
use nexus_core::refusal::Refusal;

#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("give one order as JSON; bench/README.md says which there are")]
    NoOrder,
    #[error("the order can't be read: {0}")]
    Order(#[from] serde_json::Error),
    #[error("the address of the company on {0}: {1}")]
    Address(String, std::io::Error),
    #[error("NATS: {0}")]
    Nats(String),
    #[error("the broker: {0}")]
    Bus(#[from] BusError),
    #[error("the company: {0}")]
    Refused(#[from] Refusal),
    #[error("a program: {0}")]
    Spawn(#[from] nexus_process::SpawnError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Unmet(String),
}

/// Errors of async-nats have a type for each call; here all are reported alike.
pub(crate) fn nats(error: impl std::fmt::Display) -> LoadError {
    LoadError::Nats(error.to_string())
}
