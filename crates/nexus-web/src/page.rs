//! The page at `/`: what runs here, and where its doors are.

use std::net::SocketAddr;

/// The page of a server that listens on `addr`. Its only variable is a socket address, which needs no escaping.
pub(crate) fn render(addr: SocketAddr) -> String {
    include_str!("page.html").replace("{addr}", &addr.to_string()).replace("{version}", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_to_fill_in() {
        let page = render(SocketAddr::from(([127, 0, 0, 1], 8123)));
        assert!(page.contains("http://127.0.0.1:8123/mcp") && !page.contains("{addr}") && !page.contains("{version}"));
    }
}
