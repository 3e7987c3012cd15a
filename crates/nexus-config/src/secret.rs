//! Values that must not be seen: a password, a token, the URL of a server (it may carry both).
//!
//! They are written as plain strings, and masked wherever they are printed or serialised.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

/// A password or a token; never printed.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

/// The URL of a server; printed without the user, password or token in it.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Address(String);

impl Address {
    /// The whole URL, with its secrets.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The part before the first colon, in lower case.
    #[must_use]
    pub fn scheme(&self) -> Option<String> {
        self.0.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A cluster is written as several URLs with commas between.
        let masked: Vec<String> = self.0.split(',').map(mask_url).collect();
        f.write_str(&masked.join(","))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

const MASK: &str = "***";

/// Masks everything between the scheme and the last `@`, and the query: Postgres takes `?password=` too.
fn mask_url(url: &str) -> String {
    let (base, query) = match url.split_once('?') {
        Some((base, _)) => (base, "?***"),
        None => (url, ""),
    };
    let start = base.find("://").map_or(0, |at| at + 3);
    match base.rfind('@') {
        Some(at) if at >= start => format!("{}{MASK}{}{query}", &base[..start], &base[at..]),
        _ => format!("{base}{query}"),
    }
}

/// True if the text at a key must stay out of messages and snippets.
pub(crate) fn is_secret(path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    matches!(path[..], ["nats", "password" | "token" | "url"] | ["history", "url"])
}

/// True if a snippet must not show the text at a key: a secret, or what may be one under a mistyped key or in a wrong place.
pub(crate) fn is_hidden(path: &[String]) -> bool {
    let name = path.last().map(|key| key.to_ascii_lowercase()).unwrap_or_default();
    let telling = ["pass", "token", "secret", "_key"].iter().any(|part| name.contains(part)) && name != "tokens";
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let beside = match path[..] {
        ["nats", key] => !matches!(key, "creds" | "user" | "tls"),
        ["history", _] => true,
        _ => false,
    };
    telling || beside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_masked() {
        for (url, masked) in [
            ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"),
            ("nats://u:p@h:1,tls://tok@i:2", "nats://***@h:1,tls://***@i:2"),
            ("postgres://u:p@ss@h/db?password=x", "postgres://***@h/db?***"),
            ("tok@host", "***@host"),
            ("sqlite:history.db", "sqlite:history.db"),
        ] {
            assert_eq!(Address(url.to_owned()).to_string(), masked);
        }
        assert_eq!(format!("{:?}", Secret("hush".to_owned())), "***");
    }
}
