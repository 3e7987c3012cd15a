//! `NO_PROXY`: the targets that are reached without a proxy.

use std::net::IpAddr;

use nexus_core::network::Target;

/// One entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Exempt {
    All,
    /// A name and every name below it, at this port or at any.
    Name(String, Option<u16>),
    /// Addresses that share this many leading bits.
    Addresses(IpAddr, u8),
}

/// Entries are parted by commas or blanks. What makes no sense exempts nothing.
pub(super) fn parse(list: &str) -> Vec<Exempt> {
    list.split([',', ' ', '\t']).map(str::trim).filter(|entry| !entry.is_empty()).filter_map(entry).collect()
}

fn entry(text: &str) -> Option<Exempt> {
    if text == "*" {
        return Some(Exempt::All);
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(Exempt::Addresses(address, if address.is_ipv4() { 32 } else { 128 }));
    }
    if let Some((address, bits)) = text.split_once('/') {
        return Some(Exempt::Addresses(address.parse().ok()?, bits.parse().ok()?));
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, Some(port.parse().ok()?)),
        None => (text, None),
    };
    let name = name.trim_start_matches('*').trim_matches('.').to_ascii_lowercase();
    (!name.is_empty()).then_some(Exempt::Name(name, port))
}

impl Exempt {
    pub(super) fn holds(&self, target: &Target) -> bool {
        match self {
            Self::All => true,
            Self::Name(name, port) => {
                let host = target.host.to_string();
                let is_below = || host.strip_suffix(name.as_str()).is_some_and(|rest| rest.ends_with('.'));
                port.is_none_or(|port| port == target.port) && (host == *name || is_below())
            }
            Self::Addresses(network, bits) => target.address().is_some_and(|address| shares(address, *network, *bits)),
        }
    }
}

fn shares(one: IpAddr, other: IpAddr, bits: u8) -> bool {
    let (one, other, width) = match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (u128::from(one.to_bits()), u128::from(other.to_bits()), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits(), other.to_bits(), 128),
        _ => return false,
    };
    let apart = u32::from(bits).min(width);
    (one ^ other).checked_shr(width - apart).unwrap_or(0) == 0
}
