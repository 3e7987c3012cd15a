//! MCP over Streamable HTTP, as a tower service that a web server mounts at `/mcp`.

use std::net::SocketAddr;
use std::sync::Arc;

use nexus_bus::Client;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio_util::sync::CancellationToken;

use crate::server::Server;

/// Largest accepted message, in bytes: a description and a context of 256 KiB each, both with every character escaped
/// once, and a margin. What is longer than a task may be, and still fits, is refused with a sentence.
const MAX_BODY: usize = (1 << 20) + (1 << 18);

/// A tower service over `http` types; cheap to clone.
pub type HttpService = StreamableHttpService<Server, NeverSessionManager>;

/// The service for a server that listens on `addr`. When `shutdown` is cancelled, its open streams end.
///
/// It keeps no sessions, in neither era: there is nothing to bound, to expire, or to lose when the company restarts.
/// Its requests at a time are bounded by the web server's connections.
#[must_use]
pub fn http_service(client: Client, addr: SocketAddr, shutdown: CancellationToken) -> HttpService {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        // The port of `Host` is free, for tunnels; a page of another name or port may still not call us.
        .with_allowed_hosts(names(addr))
        .with_allowed_origins(origins(addr))
        .enforce_origin_validation()
        .with_max_request_body_bytes(MAX_BODY)
        .with_cancellation_token(shutdown);
    let server = Server::new(client);
    StreamableHttpService::new(move || Ok(server.clone()), Arc::new(NeverSessionManager::default()), config)
}

/// What this machine is called by those that mean it: any address of the loopback can be listened on.
fn names(addr: SocketAddr) -> [String; 4] {
    let own = addr.ip().to_string();
    [own.as_str(), "localhost", "127.0.0.1", "::1"].map(str::to_owned)
}

fn origins(addr: SocketAddr) -> [String; 4] {
    let own = SocketAddr::new(addr.ip(), 0).to_string();
    let own = own.trim_end_matches(":0");
    let port = addr.port();
    [own, "localhost", "127.0.0.1", "[::1]"].map(|host| format!("http://{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_the_address_that_is_listened_on_may_call() {
        for (listen, origin) in [
            ("127.0.0.2:8000", "http://127.0.0.2:8000"),
            ("[::1]:8000", "http://[::1]:8000"),
            ("127.0.0.1:80", "http://localhost:80"),
        ] {
            assert!(origins(listen.parse().unwrap()).contains(&origin.to_owned()), "{listen}");
        }
        assert!(names("127.0.0.2:8000".parse().unwrap()).contains(&"127.0.0.2".to_owned()));
    }
}
