//! The proxy that this machine itself has to go by, as its environment names it: `HTTPS_PROXY`, `NO_PROXY` and the like.

use std::fmt;
use std::net::IpAddr;

use hyper::header::HeaderValue;
use nexus_core::network::Target;

mod exempt;
mod handshake;
mod login;

use exempt::Exempt;
pub(crate) use handshake::tunnel;
use login::Login;

/// The variables that name a proxy. The first that is set counts.
const PLAIN: [&str; 4] = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
const TUNNELS: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/// A proxy that connections go out by.
#[derive(Clone)]
pub(crate) struct Parent {
    pub(crate) at: Target,
    /// It is spoken to by TLS itself.
    pub(crate) tls: bool,
    /// The header that tells it who asks.
    pub(crate) authorization: Option<HeaderValue>,
    has_login: bool,
}

/// Where it is, and never its password.
impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = if self.has_login { "***@" } else { "" };
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
pub(crate) enum ParentError {
    #[error("{0} holds no proxy: write \"http://host:port\"")]
    Malformed(&'static str),
    #[error("{0} names a proxy of the kind {1}://, which Nexus can't use; write \"http://host:port\"")]
    Kind(&'static str, String),
}

/// The proxies of this machine, and where none is used.
#[derive(Clone, Default)]
pub struct Parents {
    /// For plain requests.
    http: Option<(&'static str, Parent)>,
    /// For tunnels, which is TLS nearly always.
    https: Option<(&'static str, Parent)>,
    exempt: Vec<Exempt>,
    errors: Vec<ParentError>,
    secrets: Vec<String>,
}

/// Without the secrets.
impl fmt::Debug for Parents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { http, https, exempt, errors, secrets: _ } = self;
        let mut shown = f.debug_struct("Parents");
        shown.field("http", http).field("https", https).field("exempt", exempt).field("errors", errors);
        shown.finish_non_exhaustive()
    }
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
        let http = first(PLAIN);
        let https = first(TUNNELS);
        let exempt = ["no_proxy", "NO_PROXY"].into_iter().find_map(&set).unwrap_or_default();
        // Of all that are set: programs that inherit them differ in which they use, and in the forms they know.
        let mut secrets: Vec<String> =
            PLAIN.into_iter().chain(TUNNELS).filter_map(set).flat_map(|value| login::secrets(value.trim())).collect();
        secrets.sort_unstable();
        secrets.dedup();
        Self { http, https, exempt: exempt::parse(&exempt), errors, secrets }
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

    /// A sentence about each variable that can't be used.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        self.errors.iter().map(ToString::to_string).collect()
    }

    /// The logins in the URLs of all variables, used or not, in every form in which they may be printed.
    #[must_use]
    pub fn secrets(&self) -> &[String] {
        &self.secrets
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
    let (login, place) = login::split(rest);
    let at = Target::parse(place, port).ok_or_else(malformed)?;
    let authorization = match login {
        None => None,
        Some(login) => {
            let value = HeaderValue::from_str(&format!("Basic {}", Login::of(login).encoded()));
            let mut value = value.map_err(|_| malformed())?;
            value.set_sensitive(true);
            Some(value)
        }
    };
    Ok(Parent { at, tls, authorization, has_login: login.is_some() })
}

#[cfg(test)]
mod tests;
