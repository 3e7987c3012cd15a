//! Errors that keep the harness itself from going on: a fault of the machine or of the call, never one of the company.

use std::path::PathBuf;

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HarnessError {
    #[error("there is no program {}: build it with `cargo build --bin nexus`, or name one with --nexus", .0.display())]
    NoProgram(PathBuf),
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
    #[error("the broker for two nodes could not be started: {0}")]
    Broker(String),
    #[error("the broker can't be reached: {0}")]
    Bus(#[from] nexus_bus::BusError),
    #[error("{0} was not ready within {1:?}: its log is in {2}")]
    NotReady(String, std::time::Duration, PathBuf),
    #[error("interrupted")]
    Interrupted,
}

impl HarnessError {
    /// Says what was being done.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        |source| Self::Io { what, source }
    }
}
