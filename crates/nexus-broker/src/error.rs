//! Why there is no broker.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use nexus_process::daemon::DaemonError;

use crate::install::InstallError;
use crate::tools::Rejected;

/// Each says what to do about it, where anything can be done.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error(
        "the nats-server of the setting broker.server can't be used: {0}; change broker.server in nexus.toml \
         (NEXUS_BROKER__SERVER), or remove it to have one found or installed"
    )]
    Setting(Rejected),
    #[error(transparent)]
    Install(#[from] InstallError),
    #[error("the broker's files in {} can't be written: {source}", dir.display())]
    Files { dir: PathBuf, source: io::Error },
    #[error("failed to {0}")]
    Daemon(#[from] DaemonError),
    #[error("nats-server ended while it was starting ({exit}): {reason}; its log is {}", log.display())]
    Ended { exit: String, reason: String, log: PathBuf },
    #[error("nats-server was not ready within {} s; its log is {}", limit.as_secs(), log.display())]
    NotReady { limit: Duration, log: PathBuf },
    #[error("what answers on port {port} is not the nats-server that was started: {reason}")]
    Stranger { port: u16, reason: String },
}
