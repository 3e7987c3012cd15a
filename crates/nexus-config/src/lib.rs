//! Files and environment in, a checked company out: layers, decoding, checks, the schema, and watching for edits.
//!
//! Defaults < `nexus.toml` < `departments/*.toml` < `NEXUS_*` variables < flags. Every error says where it is and what
//! would be right, and all of them are said at once. This is the only crate that knows figment.

mod builtin;
mod check;
mod decode;
mod document;
mod environment;
mod errors;
mod explain;
mod layer;
mod load;
mod roles;
mod schema;
mod secret;
mod settings;
mod show;
mod source;
mod trust;
mod watch;

pub use builtin::starter;
pub use errors::{ConfigError, ConfigErrors, ConfigReport};
pub use load::{Loaded, load};
pub use schema::schemas;
pub use secret::{Address, Secret};
pub use settings::{Apply, ApplyMethod, Broker, Bus, History, Nats, Settings, SyncPolicy, Tls, Web, Workspaces};
pub use show::show;
pub use source::{Here, Override, Source, Untrusted};
pub use trust::{Standing, Trust};
pub use watch::watch;
