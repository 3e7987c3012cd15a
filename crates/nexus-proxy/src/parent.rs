//! The proxy that this machine itself has to go by, as its environment names it: `HTTPS_PROXY`, `NO_PROXY` and the like.

use std::fmt;
use std::net::IpAddr;

use hyper::header::HeaderValue;
use nexus_core::network::Target;

mod exempt;
mod handshake;

use exempt::Exempt;
pub(crate) use handshake::tunnel;

/// A proxy that connections go out by.
#[derive(Clone)]
pub struct Parent {
    pub(crate) at: Target,
    /// It is spoken to by TLS itself.
    pub(crate) tls: bool,
    /// What it is told of who asks.
    pub(crate) authorization: Option<HeaderValue>,
    user: Option<String>,
    password: Option<String>,
}

/// Where it is, and never its password.
impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.as_ref().map(|_| "***@").unwrap_or_default();
        write!(f, "{}://{user}{}", if self.tls { "https" } else { "http" }, self.at)
    }
}

impl fmt::Debug for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a variable names no proxy that can be used; its value may hold a password and isn't shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParentError {
    #[error("{0} holds no proxy: write \"http://host:port\"")]
    Malformed(&'static str),
    #[error("{0} names a proxy of the kind {1}://, which Nexus can't use; write \"http://host:port\"")]
    Kind(&'static str, String),
}

/// The proxies of this machine, and where none is used.
#[derive(Clone, Debug, Default)]
pub struct Parents {
    /// For plain requests.
    http: Option<(&'static str, Parent)>,
    /// For tunnels, which is TLS nearly always.
    https: Option<(&'static str, Parent)>,
    exempt: Vec<Exempt>,
    /// Variables that can't be used.
    pub errors: Vec<ParentError>,
}

impl Parents {
    /// Those that `variable` names. Names in small letters come first, as nearly everywhere.
    #[must_use]
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let mut errors: Vec<ParentError> = Vec::new();
        let mut first = |names: [&'static str; 4]| {
            let (name, value) = names.into_iter().find_map(|name| Some((name, set(name)?)))?;
            match parse(name, value.trim()) {
                Ok(parent) => Some((name, parent)),
                Err(error) => {
                    errors.extend((!errors.contains(&error)).then_some(error));
                    None
                }
            }
        };
        let http = first(["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]);
        let https = first(["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]);
        let exempt = ["no_proxy", "NO_PROXY"].into_iter().find_map(set).unwrap_or_default();
        Self { http, https, exempt: exempt::parse(&exempt), errors }
    }

    /// The one by which a plain request to this target goes.
    pub(crate) fn for_http(&self, target: &Target) -> Option<&Parent> {
        self.by(self.http.as_ref(), target)
    }

    /// The one by which a tunnel to this target goes.
    pub(crate) fn for_tunnel(&self, target: &Target) -> Option<&Parent> {
        self.by(self.https.as_ref(), target)
    }

    fn by<'a>(&self, parent: Option<&'a (&'static str, Parent)>, target: &Target) -> Option<&'a Parent> {
        let (_, parent) = parent?;
        let name = target.host.to_string();
        // Such a target is this machine, and to the proxy it would be another one.
        let is_here = name == "localhost"
            || name.ends_with(".localhost")
            || target.address().is_some_and(|address: IpAddr| address.is_loopback() || address.is_unspecified());
        let is_exempt = self.exempt.iter().any(|exempt| exempt.holds(target));
        (!is_here && !is_exempt).then_some(parent)
    }

    /// A line about each, with the variable that names it.
    #[must_use]
    pub fn described(&self) -> Vec<String> {
        let both = [("plain requests", &self.http), ("tunnels (HTTPS)", &self.https)];
        let each = both.into_iter().filter_map(|(what, parent)| Some((what, parent.as_ref()?)));
        each.map(|(what, (name, parent))| format!("{what} go by the proxy {parent} ({name})")).collect()
    }

    /// What is to be taken out of all that is shown.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        let parents = [&self.http, &self.https].into_iter().flatten();
        let mut secrets: Vec<String> = Vec::new();
        for (_, parent) in parents {
            secrets.extend(parent.password.iter().flat_map(|written| [written.clone(), decoded(written)]));
            secrets.extend(parent.authorization.iter().filter_map(|value| {
                let text = std::str::from_utf8(value.as_bytes()).ok()?;
                Some(text.strip_prefix("Basic ")?.to_owned())
            }));
        }
        secrets
    }
}

fn parse(name: &'static str, value: &str) -> Result<Parent, ParentError> {
    let malformed = || ParentError::Malformed(name);
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
    let (tls, port) = match scheme.to_ascii_lowercase().as_str() {
        "http" => (false, 80),
        "https" => (true, 443),
        other if other.chars().all(|letter| letter.is_ascii_alphanumeric()) => {
            return Err(ParentError::Kind(name, other.to_owned()));
        }
        _ => return Err(malformed()),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (login, place) = authority.rsplit_once('@').map_or((None, authority), |(login, place)| (Some(login), place));
    let at = Target::parse(place, port).ok_or_else(malformed)?;
    let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
        None => (None, None),
        Some((user, password)) => (Some(user.to_owned()), Some(password.to_owned()).filter(|text| !text.is_empty())),
    };
    let authorization = match &user {
        None => None,
        Some(user) => {
            let login = format!("{}:{}", decoded(user), decoded(password.as_deref().unwrap_or_default()));
            let value = HeaderValue::from_str(&format!("Basic {}", base64(login.as_bytes())));
            let mut value = value.map_err(|_| malformed())?;
            value.set_sensitive(true);
            Some(value)
        }
    };
    Ok(Parent { at, tls, authorization, user, password })
}

/// With `%40` and its like as what they stand for.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let of = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = of(0) << 16 | of(1) << 8 | of(2);
        for place in 0..4_usize {
            let digit = usize::try_from(group >> (18 - 6 * place) & 63).unwrap_or(0);
            text.push(if place <= chunk.len() { char::from(DIGITS[digit]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests;
