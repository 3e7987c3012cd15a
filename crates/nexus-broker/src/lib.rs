//! The private nats-server of a company: found, installed, started and supervised. Knows the server as a program; only
//! nexus-bus knows how to talk to it.

mod broker;
mod complaints;
mod conf;
mod error;
mod files;
mod info;
mod install;
mod launch;
mod lock;
mod mend;
mod progress;
mod status;
mod store;
mod supervise;
mod tools;

pub use broker::{Broker, BrokerOptions, start};
pub use conf::Sync;
pub use error::BrokerError;
pub use install::{InstallError, Installed, WayFailed, install};
pub use lock::{DataDir, DataDirLock, LockError};
pub use progress::{Progress, Way};
pub use status::{BrokerStatus, Running, running, status};
pub use store::Store;
pub use supervise::Status;
pub use tools::{Candidate, Found, MINIMUM, Origin, Rejected, Tools, find};
