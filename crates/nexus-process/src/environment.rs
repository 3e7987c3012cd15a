//! The part of our own environment that a child may see: a short list of names, and those that are asked for.

use std::ffi::OsString;
use std::sync::LazyLock;

/// The basic variables of our own environment, as it was when they were first asked for: nobody changes it, and each start
/// of an agent asks.
static OWN: LazyLock<Vec<(OsString, OsString)>> =
    LazyLock::new(|| std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_basic)).collect());

/// The basic variables of our own environment, and those named in `pass`. Everything else stays here: it may be a secret.
#[must_use]
pub fn user_environment(pass: &[String]) -> Vec<(OsString, OsString)> {
    let more = pass.iter().filter(|name| !is_basic(name));
    let more = more.filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
    OWN.iter().cloned().chain(more).collect()
}

/// True if this process is root's; never on Windows.
#[must_use]
pub fn is_root() -> bool {
    #[cfg(unix)]
    return rustix::process::geteuid().is_root();
    #[cfg(not(unix))]
    false
}

#[cfg(not(windows))]
const BASIC: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TERM",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

#[cfg(not(windows))]
fn is_basic(name: &str) -> bool {
    BASIC.contains(&name) || name.starts_with("LC_")
}

#[cfg(windows)]
const BASIC: &[&str] = &[
    "PATH",
    "PATHEXT",
    "COMSPEC",
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "WINDIR",
    "USERNAME",
    "USERPROFILE",
    "HOMEDRIVE",
    "HOMEPATH",
    "APPDATA",
    "LOCALAPPDATA",
    "PROGRAMDATA",
    "PROGRAMFILES",
    "TEMP",
    "TMP",
    "TZ",
    "LANG",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Names of variables have no case on Windows.
#[cfg(windows)]
fn is_basic(name: &str) -> bool {
    BASIC.iter().any(|basic| basic.eq_ignore_ascii_case(name))
}
