//! The listening socket: bound before anything else starts, so that a taken port is found out first.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::Request;
use axum::response::IntoResponse;
use axum::serve::{Listener, ListenerExt};
use nexus_bus::Client;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use crate::routes::router;

/// Connections at a time; further ones wait to be accepted. HTTP/1 has one request in flight on each, so this bounds
/// requests too: with bodies of 1.25 MiB to 320 MiB at the very worst, and to a quarter of the usual 1,024 descriptors.
const MAX_CONNECTIONS: usize = 256;
/// The longest time that open requests may take once the company stops; streams end at once.
const STOP_GRACE: Duration = Duration::from_secs(2);

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
}

impl Web {
    /// Binds the socket; port 0 picks a free one.
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
        Ok(Bound { listener, addr })
    }
}

impl Bound {
    /// The address with its real port.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves until `shutdown` is cancelled and open requests have ended, or 2 seconds have passed.
    pub async fn serve<S>(self, client: Client, mcp: S, shutdown: CancellationToken)
    where
        S: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Response: IntoResponse,
        S::Future: Send + 'static,
    {
        let limited = Limited { listener: self.listener, places: Arc::new(Semaphore::new(MAX_CONNECTIONS)) };
        // Without it, the answers of a stream wait 40 ms for the acknowledgement of the last.
        let listener = limited.tap_io(|io| {
            if let Err(error) = io.stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY could not be set");
            }
        });
        let router = router(client, mcp, self.addr);
        let stop = shutdown.clone();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await });
        let too_long = async {
            shutdown.cancelled().await;
            tokio::time::sleep(STOP_GRACE).await;
        };
        tokio::select! {
            // It never fails: it goes on after errors of single connections.
            _ = serving => (),
            () = too_long => tracing::warn!("HTTP requests were still open after {STOP_GRACE:?}; they were dropped"),
        }
    }
}

/// A listener that holds a place for every open connection.
struct Limited {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

/// A connection and its place.
struct Placed {
    stream: TcpStream,
    _place: Option<OwnedSemaphorePermit>,
}

impl Listener for Limited {
    type Io = Placed;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Placed, SocketAddr) {
        // The semaphore is never closed, so there always is a place in the end.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (stream, addr) = Listener::accept(&mut self.listener).await;
        (Placed { stream, _place: place }, addr)
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl AsyncRead for Placed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Placed {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
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
