//! Errors between a company and its broker.

use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::task::STORED_VERSION;

/// Why the broker didn't do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    #[error("cannot connect to NATS at {url}: {cause}")]
    Connect { url: String, cause: String },
    #[error("NATS at {url} refused the credentials")]
    Denied { url: String },
    /// It is not known whether it was done.
    #[error("the broker did not answer: {0}")]
    Unreachable(String),
    /// Compare-and-set was refused: somebody else wrote first.
    #[error("somebody else wrote to this task first")]
    Conflict,
    /// The stream is at its bound, or the broker's disk is full or can't be written.
    #[error("the broker can't store anything: {0}")]
    Full(String),
    /// This user may not do what a company does; the broker's own words.
    #[error("NATS does not allow this user what a company needs: {0}")]
    Forbidden(String),
    /// The server or its account is not one that a company can work with.
    #[error("{what}")]
    Unfit { what: String, help: String },
    /// More than fits into one message.
    #[error("this has {bytes} bytes; at most {limit} fit into a message of this NATS server")]
    TooLong { bytes: usize, limit: usize },
    #[error("the broker refused: {0}")]
    Refused(String),
    /// A stored message that this version can't read.
    #[error("{subject} at {seq} is not readable: {cause}")]
    Unreadable { subject: String, seq: u64, cause: String },
    /// A stored message that this version must not touch.
    #[error(
        "{subject} at {seq} was written by a newer nexus (version {found} of the stored form, and this one reads up to \
         {STORED_VERSION}); upgrade nexus"
    )]
    Newer { subject: String, seq: u64, found: u32 },
}

impl From<BusError> for Refusal {
    fn from(error: BusError) -> Self {
        let message = error.to_string();
        match error {
            BusError::Connect { .. } | BusError::Unreachable(_) => Self::new(RefusalKind::Unreachable, message)
                .with_help("is the company up? `nexus doctor` looks at it and its broker"),
            BusError::Denied { .. } => Self::new(RefusalKind::Unreachable, message)
                .with_help("give a user and a password in the URL or in nexus.toml's [nats], or a file with --creds"),
            BusError::Conflict => {
                Self::new(RefusalKind::Conflict, message).with_help("look at its status and try again")
            }
            BusError::Full(_) => Self::new(RefusalKind::StorageFull, message).with_help(
                "make room on that disk; the company goes on by itself then, and work is accepted again. \
                 What was accepted before is kept; this was not accepted",
            ),
            BusError::Newer { .. } => Self::new(RefusalKind::NewerVersion, message)
                .with_help("the ledger keeps everything for a nexus that can read it; nothing of it was touched"),
            BusError::Forbidden(_) => Self::new(RefusalKind::Unreachable, message).with_help(
                "allow it to publish and subscribe to `nexus.>`, `$KV.nexus_lease.>`, `$JS.API.>`, `$JS.ACK.>`, `$SRV.>` and \
                 `_INBOX.>`",
            ),
            BusError::Unfit { help, .. } => Self::new(RefusalKind::Unreachable, message).with_help(help),
            BusError::TooLong { .. } => Self::new(RefusalKind::InvalidInput, message)
                .with_help("put the text into a file of the project and name the file, or raise max_payload of the server"),
            BusError::Refused(_) | BusError::Unreadable { .. } => Self::new(RefusalKind::Internal, message),
        }
    }
}

/// Reading a name for the reason of a failed call.
pub(crate) fn unreachable(cause: impl std::fmt::Display) -> BusError {
    BusError::Unreachable(cause.to_string())
}
