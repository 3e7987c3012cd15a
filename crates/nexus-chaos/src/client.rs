//! The harness's way to a company: as any client's, past the ways that it breaks.

use std::path::Path;
use std::time::Duration;

use nexus_bus::{Access, Bus, BusError, Credentials, Tls};
use serde::Deserialize;

use crate::error::HarnessError;

/// A company's address as it leaves it in its data directory.
#[derive(Deserialize)]
struct Address {
    nats: String,
    user: String,
    password: String,
}

/// The private broker of the company on a data directory: it keeps its port and its password over restarts.
pub(crate) fn private(data_dir: &Path) -> Result<Access, HarnessError> {
    let text = std::fs::read(data_dir.join("company.json")).map_err(HarnessError::io("the company's address"))?;
    let address: Address =
        serde_json::from_slice(&text).map_err(|error| HarnessError::io("the company's address")(error.into()))?;
    let credentials = Credentials::UserPassword { user: address.user, password: address.password };
    Ok(Access { url: address.nats, credentials, tls: Tls::default() })
}

pub(crate) async fn connect(access: &Access) -> Result<Bus, BusError> {
    Bus::connect(access, "nexus-chaos").await
}

/// The longest wait for the answer to one question before it is asked again: well above what an answer takes, far below what a
/// client would wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
/// Between two questions after one that was not answered.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);
