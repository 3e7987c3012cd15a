//! The way out of this machine, as its environment describes it: proxies, and certificates that are trusted beside the system's.

use std::ffi::OsString;
use std::sync::{Arc, LazyLock};

use nexus_core::department::Network;
use nexus_proxy::Parents;

/// Proxies, as programs look for them. Both spellings are passed on as they are: programs differ in which they read.
const PROXIES: [&str; 9] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "NODE_USE_ENV_PROXY",
];

/// Files of certificates, or directories of them, as programs look for them.
const CERTIFICATES: [&str; 14] = [
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "AWS_CA_BUNDLE",
    "PIP_CERT",
    "CARGO_HTTP_CAINFO",
    "DENO_CERT",
    "NIX_SSL_CERT_FILE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "NPM_CONFIG_CAFILE",
];

/// The environment doesn't change while a company runs.
static PARENTS: LazyLock<Arc<Parents>> = LazyLock::new(|| Arc::new(Parents::of(|name| std::env::var(name).ok())));

/// The proxies of this machine.
pub(crate) fn parents() -> Arc<Parents> {
    Arc::clone(&PARENTS)
}

/// The variables about the way out for an agent with this network. A proxy's URL may hold a password: only those get it who need
/// it, and only in a form that is taken out of what they print.
pub(crate) fn variables(network: &Network) -> impl Iterator<Item = (OsString, OsString)> {
    let proxies: &[&str] = if *network == Network::Full { &PROXIES } else { &[] };
    let proxies = proxies.iter().filter(|name| std::env::var(name).is_ok());
    proxies.chain(&CERTIFICATES).filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)))
}

/// The logins of the proxies. A department's `environment.pass` hands them to agents of every network.
pub(crate) fn secrets() -> &'static [String] {
    PARENTS.secrets()
}

/// Where the variables' certificates lie, for a sandbox to show.
#[cfg(target_os = "linux")]
pub(crate) fn certificates() -> Vec<std::path::PathBuf> {
    let values = CERTIFICATES.iter().filter_map(std::env::var_os);
    let paths = values.flat_map(|value| std::env::split_paths(&value).collect::<Vec<_>>());
    paths.filter(|path| path.is_absolute() && path.exists()).collect()
}

/// This machine's ways to the network, by its environment: a sentence about each proxy, and about each variable that can't be used.
#[must_use]
pub fn proxies() -> (Vec<String>, Vec<String>) {
    (PARENTS.described(), PARENTS.errors())
}

/// Says so in the log.
pub(crate) fn tell() {
    let (used, errors) = proxies();
    for line in used {
        tracing::info!("{line}");
    }
    for error in errors {
        tracing::warn!("{error}");
    }
}
