//! An address to listen on: whole, or a port of this machine alone.

use std::net::{Ipv4Addr, SocketAddr};

pub(super) fn parse(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix("localhost").unwrap_or(text);
    if let Ok(port) = port.strip_prefix(':').unwrap_or(port).parse::<u16>() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    text.parse().map_err(|_| "write a port such as 8000, or an address with one, such as 127.0.0.1:8000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_port_alone_is_one_of_this_machine() {
        for text in ["8000", ":8000", "localhost:8000", "127.0.0.1:8000"] {
            assert_eq!(parse(text).unwrap().to_string(), "127.0.0.1:8000", "{text}");
        }
        assert_eq!(parse("0.0.0.0:1").unwrap().to_string(), "0.0.0.0:1");
        assert_eq!(parse("[::1]:0").unwrap().to_string(), "[::1]:0");
    }

    #[test]
    fn what_is_no_address_is_answered_with_one_that_is() {
        for text in ["", "80000", "example.org:8000", "127.0.0.1", "::1"] {
            assert!(parse(text).unwrap_err().contains("127.0.0.1:8000"), "{text}");
        }
    }
}
