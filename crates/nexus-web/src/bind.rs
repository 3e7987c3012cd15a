//! The listening socket: bound before anything else starts, so that a taken port is found out first.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

use axum::extract::Request;
use axum::response::IntoResponse;
use nexus_bus::Client;
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use crate::routes::router;
use crate::serve::House;
use crate::token::Token;

/// The web server, before it has a socket.
#[derive(Clone, Copy, Debug)]
pub struct Web;

/// Why an address can't be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error(
        "listen on {0}: only loopback addresses are allowed, such as 127.0.0.1:{port}; reach it from elsewhere by a tunnel",
        port = .0.port()
    )]
    NotLoopback(SocketAddr),
    #[error(
        "listen on {addr}: port {port} is taken by another program; choose another with --listen 127.0.0.1:PORT, or let the system choose with --listen 127.0.0.1:0",
        port = .addr.port()
    )]
    Taken { addr: SocketAddr },
    #[error("listen on {addr}: {source}")]
    Io { addr: SocketAddr, source: std::io::Error },
}

/// A web server that has its socket.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    addr: SocketAddr,
    #[cfg(unix)]
    socket: Option<UnixListener>,
}

impl Web {
    /// Binds the port; port 0 picks a free one.
    pub async fn bind(listen: SocketAddr) -> Result<Bound, BindError> {
        if !listen.ip().is_loopback() {
            return Err(BindError::NotLoopback(listen));
        }
        let failed = |source: std::io::Error| match source.kind() {
            ErrorKind::AddrInUse => BindError::Taken { addr: listen },
            _ => BindError::Io { addr: listen, source },
        };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        Ok(Bound {
            listener,
            addr,
            #[cfg(unix)]
            socket: None,
        })
    }
}

impl Bound {
    /// The address with its real port.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Listens on a socket in the file system too, which only this user can open. What lies there of a former run is replaced.
    ///
    /// # Errors
    /// When there can be none, such as at a path that is too long for one.
    #[cfg(unix)]
    pub fn and_at(&mut self, path: &Path) -> std::io::Result<()> {
        use std::os::unix::fs::PermissionsExt;

        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        self.socket = Some(socket);
        Ok(())
    }

    /// Other systems have the port alone.
    #[cfg(not(unix))]
    #[expect(clippy::unused_self, clippy::missing_errors_doc, reason = "the same as where there is one")]
    pub fn and_at(&mut self, _: &Path) -> std::io::Result<()> {
        Ok(())
    }

    /// Serves until `shutdown` is cancelled and open requests have ended, or 2 seconds have passed.
    pub async fn serve<S>(self, client: Client, mcp: S, token: Token, shutdown: CancellationToken)
    where
        S: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Response: IntoResponse,
        S::Future: Send + 'static,
    {
        let house = House::new(router(client, mcp, token, self.addr), shutdown);
        let by_port = house.clone().by_port(self.listener);
        #[cfg(unix)]
        match self.socket {
            Some(socket) => drop(tokio::join!(by_port, house.clone().by_socket(socket))),
            None => by_port.await,
        }
        #[cfg(not(unix))]
        by_port.await;
        house.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn port_0_becomes_a_real_one_and_a_taken_one_is_refused_with_the_way_out() {
        let bound = Web::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        assert_ne!(bound.addr().port(), 0);
        let text = Web::bind(bound.addr()).await.unwrap_err().to_string();
        assert!(text.contains(&format!("port {} is taken", bound.addr().port())), "{text}");
        assert!(text.contains("--listen 127.0.0.1:0"), "{text}");
    }

    #[tokio::test]
    async fn only_loopback_is_listened_on() {
        for address in ["0.0.0.0:8000", "[::]:8000", "192.0.2.1:8000"] {
            let text = Web::bind(address.parse().unwrap()).await.unwrap_err().to_string();
            assert!(text.contains("only loopback") && text.contains("127.0.0.1:8000"), "{text}");
        }
    }
}
