//! Which hosts an agent may reach: the list of a department's `sandbox.network`, and what of a name's addresses is left of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use url::Host;

/// A parsed list of hosts and ports. Empty: nothing can be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed(Vec<Entry>);

/// One entry: `host:port`, `*.domain:port`, `address:port`, `[address]:port`; the port may be `*`, and is 443 if absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    host: Pattern,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Name(String),
    /// Every name below this one, itself not included.
    Below(String),
    Address(IpAddr),
}

/// Where an agent wants to go. However an address is spelled (`2130706433`, `0x7f.1`), it is an address here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    pub host: Host<String>,
    pub port: u16,
}

/// Why an entry of a list is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    #[error("`{0}` holds no host: write \"host:port\", \"*.domain:port\" or \"address:port\"")]
    Host(String),
    #[error("`{0}` must end with a port from 1 to 65535, or with `:*` for all of them")]
    Port(String),
    #[error("`{0}` names no host but a place on it: leave out the scheme and the path, and write \"host:port\"")]
    Url(String),
    #[error("`{0}`: a `*` can stand for the first parts of a name only, as in \"*.example.com:443\"")]
    Star(String),
}

/// Why a target can't be reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("it is not on the list of its network (sandbox.network, the agent's `hosts`)")]
    NotListed,
    #[error("an address can be reached only where it is listed itself (sandbox.network)")]
    BareAddress,
    #[error("its name leads to {address}, {class}, which is not listed itself (sandbox.network)")]
    Inside { address: IpAddr, class: &'static str },
    #[error("its name leads nowhere")]
    Nowhere,
}

impl FromStr for Entry {
    type Err = EntryError;

    fn from_str(text: &str) -> Result<Self, EntryError> {
        if text.contains(['/', '?', '#', '@']) {
            return Err(EntryError::Url(text.to_owned()));
        }
        let (host, port) = split(text);
        let port = match port {
            None => Some(443),
            Some("*") => None,
            Some(port) => match port.parse() {
                Ok(0) | Err(_) => return Err(EntryError::Port(text.to_owned())),
                Ok(port) => Some(port),
            },
        };
        let (below, name) = host.strip_prefix("*.").map_or((false, host), |name| (true, name));
        if name.contains('*') {
            return Err(EntryError::Star(text.to_owned()));
        }
        let host = match (parse_host(name), below) {
            (Some(Host::Domain(name)), false) => Pattern::Name(name),
            (Some(Host::Domain(name)), true) => Pattern::Below(format!(".{name}")),
            (Some(Host::Ipv4(address)), false) => Pattern::Address(address.into()),
            (Some(Host::Ipv6(address)), false) => Pattern::Address(plain(address.into())),
            (None, _) => return Err(EntryError::Host(text.to_owned())),
            (Some(_), true) => return Err(EntryError::Star(text.to_owned())),
        };
        Ok(Self { host, port })
    }
}

/// The host, and what follows its last colon. A bare IPv6 address, which is nothing but colons, is a host.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    }
}

/// As a browser reads it: names in lower case and in ASCII, every spelling of an address as one, no dot at the end.
fn parse_host(text: &str) -> Option<Host<String>> {
    let bare = text.parse::<Ipv6Addr>().ok().map(Host::Ipv6);
    match bare.or_else(|| Host::parse(text.strip_suffix('.').unwrap_or(text)).ok())? {
        Host::Domain(name) if name.is_empty() || name.ends_with('.') || name.starts_with('.') => None,
        host => Some(host),
    }
}

impl Target {
    /// Of what stands in a request: `host` or `host:port`.
    #[must_use]
    pub fn parse(authority: &str, default_port: u16) -> Option<Self> {
        let (host, port) = split(authority);
        let port = port.map_or(Some(default_port), |port| port.parse().ok().filter(|port| *port != 0))?;
        Some(Self { host: parse_host(host)?, port })
    }

    /// The address that it is, if it is none that a name has to be resolved for.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self.host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(plain(address.into())),
        }
    }

    fn is_localhost(&self) -> bool {
        matches!(&self.host, Host::Domain(name) if name == "localhost" || name.ends_with(".localhost"))
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A server by its URL: `https://host` or `http://host`, with a port where it isn't the usual one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub target: Target,
    pub tls: bool,
}

/// Why a URL is no [`Origin`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no server: write \"https://host\" or \"https://host:port\", without a path")]
pub struct OriginError(String);

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let (tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err(OriginError(text.to_owned())),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let target = if rest.contains('@') { None } else { Target::parse(rest, if tls { 443 } else { 80 }) };
        Ok(Self { target: target.ok_or_else(|| OriginError(text.to_owned()))?, tls })
    }
}

impl FromIterator<Entry> for Allowed {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl Allowed {
    /// # Errors
    /// Of the first entry that is none.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a String>) -> Result<Self, EntryError> {
        entries.into_iter().map(|entry| entry.parse()).collect()
    }

    /// Before its name is resolved.
    ///
    /// # Errors
    /// Why it can't be reached whatever its name leads to.
    pub fn admit(&self, target: &Target) -> Result<(), Denied> {
        match target.address() {
            Some(address) if self.lists(address, target.port) => Ok(()),
            Some(_) => Err(Denied::BareAddress),
            None if self.0.iter().any(|entry| entry.matches(target)) => Ok(()),
            None => Err(Denied::NotListed),
        }
    }

    /// Of the addresses that an admitted target's name leads to, those that may be connected to.
    ///
    /// # Errors
    /// When none is left.
    pub fn reach(&self, target: &Target, resolved: &[IpAddr]) -> Result<Vec<IpAddr>, Denied> {
        let mut denied = Denied::Nowhere;
        let mut reachable = Vec::new();
        for &address in resolved {
            match inside(address) {
                Some("a loopback address") if target.is_localhost() => reachable.push(address),
                Some(class) if !self.lists(plain(address), target.port) => denied = Denied::Inside { address, class },
                _ => reachable.push(address),
            }
        }
        if reachable.is_empty() { Err(denied) } else { Ok(reachable) }
    }

    fn lists(&self, address: IpAddr, port: u16) -> bool {
        let same = |entry: &&Entry| entry.host == Pattern::Address(address);
        self.0.iter().filter(same).any(|entry| entry.port.is_none_or(|listed| listed == port))
    }
}

impl Entry {
    fn matches(&self, target: &Target) -> bool {
        let Host::Domain(name) = &target.host else { return false };
        let host = match &self.host {
            Pattern::Name(listed) => listed == name,
            Pattern::Below(domain) => name.len() > domain.len() && name.ends_with(domain.as_str()),
            Pattern::Address(_) => false,
        };
        host && self.port.is_none_or(|port| port == target.port)
    }
}

/// An IPv4 address that is written as an IPv6 one is that IPv4 address.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// The kind of an address that a name from outside should never lead to: this machine, its neighbours, its cloud's metadata.
#[must_use]
pub fn inside(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => inside_v4(address),
        IpAddr::V6(address) => inside_v6(address),
    }
}

fn inside_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [169, 254, 169, 254] | [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => {
            Some("a cloud's metadata")
        }
        [127, ..] => Some("a loopback address"),
        [0, ..] => Some("this machine itself"),
        [169, 254, ..] => Some("a link-local address"),
        [224..=239, ..] => Some("a multicast address"),
        [240..=255, ..] => Some("a reserved address"),
        _ => None,
    }
}

fn inside_v6(address: Ipv6Addr) -> Option<&'static str> {
    let segments = address.segments();
    let four = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        inside_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("a loopback address"),
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("this machine itself"),
        // Mapped and compatible, NAT64 (both prefixes), and IPv4 translated: they lead to the address within.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0x64, 0xff9b, _, _, _, _, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        // 6to4.
        | [0x2002, high, low, ..] => four(high, low),
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => Some("a cloud's metadata"),
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
