//! The company that is measured, found by its data directory as the command line finds it.

use std::path::{Path, PathBuf};

use nexus_bus::{Access, Bus, Client, Credentials, Tls};
use serde::Deserialize;

use crate::LoadError;
use crate::error::nats;

/// A company's data directory.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Site(PathBuf);

/// `company.json`, as far as it matters here: a private broker asks for a password, the benchmark's own for nothing.
#[derive(Deserialize)]
struct Address {
    nats: String,
    user: Option<String>,
    password: Option<String>,
}

impl Site {
    fn address(&self) -> Result<Address, LoadError> {
        let path: &Path = &self.0;
        let text = std::fs::read(path.join("company.json"))
            .map_err(|error| LoadError::Address(path.display().to_string(), error))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// The company's own client.
    pub(crate) async fn client(&self) -> Result<Client, LoadError> {
        Ok(Client::new(self.bus().await?))
    }

    /// The company's own connection.
    pub(crate) async fn bus(&self) -> Result<Bus, LoadError> {
        let Address { nats: url, user, password } = self.address()?;
        let credentials = match (user, password) {
            (Some(user), Some(password)) => Credentials::UserPassword { user, password },
            _ => Credentials::None,
        };
        let access = Access { url, credentials, tls: Tls::default() };
        Ok(Bus::connect(&access, "nexus-bench").await?)
    }

    /// The name of its node.
    pub(crate) fn node(&self) -> Result<String, LoadError> {
        let path = self.0.join("node");
        std::fs::read_to_string(&path).map_err(|error| LoadError::Address(path.display().to_string(), error))
    }

    /// A connection with nothing of ours in between.
    pub(crate) async fn raw(&self) -> Result<async_nats::Client, LoadError> {
        let address = self.address()?;
        let options = async_nats::ConnectOptions::new()
            .name("nexus-bench")
            // Events of a whole batch, should they come while this process isn't running.
            .subscription_capacity(64 * 1024);
        let options = match (address.user, address.password) {
            (Some(user), Some(password)) => options.user_and_password(user, password),
            _ => options,
        };
        options.connect(address.nats).await.map_err(nats)
    }
}
