//! What a company's settings mean for its NATS server, its streams and its stores.

use nexus_broker::{Broker, BrokerOptions, DataDirLock, Tools};
use nexus_bus::{Access, Credentials, StreamOptions, Tls};
use nexus_config::{Loaded, Settings, SyncPolicy};
use nexus_workspace::Bounds;

use crate::exit::{Code, Exit};
use crate::place;
use crate::progress::BrokerProgress;

/// The most that the prepared checkouts may use, and the time for which.
pub(crate) fn bounds(settings: &Settings) -> Bounds {
    let nexus_config::Workspaces { cache_size, cache_age } = settings.workspaces;
    Bounds { bytes: cache_size.bytes(), age: cache_age.get() }
}

/// The streams that this configuration asks for.
pub(crate) fn streams(loaded: &Loaded) -> StreamOptions {
    StreamOptions { retention: loaded.company.retention.get(), ..StreamOptions::default() }
}

/// The access to the NATS server that is configured; none: the company runs one of its own.
pub(crate) fn external(settings: &Settings) -> Option<Access> {
    let nats = &settings.nats;
    let url = nats.url.as_ref()?;
    let credentials = match (&nats.creds, &nats.user, &nats.token) {
        (Some(file), ..) => Credentials::File(file.clone()),
        (_, Some(user), _) => Credentials::UserPassword {
            user: user.clone(),
            password: nats.password.as_ref().map(|secret| secret.expose().to_owned()).unwrap_or_default(),
        },
        (_, _, Some(token)) => Credentials::Token(token.expose().to_owned()),
        _ => Credentials::None,
    };
    let tls = Tls {
        required: nats.tls.required,
        ca: nats.tls.ca.clone(),
        cert: nats.tls.cert.clone(),
        key: nats.tls.key.clone(),
    };
    Some(Access { url: url.expose().to_owned(), credentials, tls })
}

/// The NATS server that is configured, or a private one.
pub(crate) async fn broker(settings: &Settings, lock: &DataDirLock) -> Result<(Option<Broker>, Access), Exit> {
    if let Some(access) = external(settings) {
        return Ok((None, access));
    }
    let tools = Tools::new(settings.broker.server.clone(), place::tools_dir()?);
    let mut options = BrokerOptions::new(lock.clone(), tools);
    options.sync = match settings.bus.sync {
        SyncPolicy::Interval => nexus_broker::Sync::Interval,
        SyncPolicy::Always => nexus_broker::Sync::Always,
    };
    let progress = BrokerProgress::new();
    let broker = nexus_broker::start(&options, |step| progress.show(&step))
        .await
        .map_err(|error| Exit::new(Code::Unreachable, error.to_string()))?;
    let access = Access {
        url: broker.url(),
        credentials: Credentials::UserPassword {
            user: broker.user().to_owned(),
            password: broker.password().to_owned(),
        },
        tls: Tls::default(),
    };
    Ok((Some(broker), access))
}

/// Where the history is, as its URL.
pub(crate) fn history_url(settings: &Settings, data_dir: &std::path::Path) -> String {
    let here = || format!("sqlite:{}", data_dir.join("history.db").display());
    settings.history.url.as_ref().map_or_else(here, |url| url.expose().to_owned())
}
