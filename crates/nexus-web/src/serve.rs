//! Connections from their beginning to their end, whichever way they came.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

use crate::lobby::{Lobby, Place};
use crate::peer::Peer;

/// Longest wait for a request's head, and for the next request on a connection that was kept open.
const HEAD: Duration = Duration::from_secs(30);
/// The longest time that open requests may take once the company stops; streams end at once.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// The wait when the system has no descriptor for a connection.
const SHORT: Duration = Duration::from_millis(200);

/// The house that connections come into.
#[derive(Clone)]
pub(crate) struct House {
    router: Router,
    lobby: Lobby,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl House {
    pub(crate) fn new(router: Router, shutdown: CancellationToken) -> Self {
        Self { router, lobby: Lobby::new(), tasks: TaskTracker::new(), shutdown }
    }

    /// Takes in who comes by the port, until the company stops.
    pub(crate) async fn by_port(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.shutdown.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Some((stream, from)) = settle(accepted).await else { continue };
            // Without it, the answers of a stream wait 40 ms for the acknowledgement of the last.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY could not be set");
            }
            let Ok(to) = stream.local_addr() else { continue };
            let place = Arc::new(self.lobby.enter());
            self.attend(stream, Peer::loopback((from, to), Arc::clone(&place)), place);
        }
    }

    /// Takes in who comes by the socket, if it is the company's own user.
    #[cfg(unix)]
    pub(crate) async fn by_socket(self, listener: tokio::net::UnixListener) {
        let us = rustix::process::geteuid().as_raw();
        loop {
            let accepted = tokio::select! {
                () = self.shutdown.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Some((stream, _)) = settle(accepted).await else { continue };
            if stream.peer_cred().is_ok_and(|peer| peer.uid() == us) {
                let place = Arc::new(self.lobby.enter());
                // Nobody without a token makes it go.
                if place.admit() {
                    self.attend(stream, Peer::Owner, place);
                }
            }
        }
    }

    fn attend<I>(&self, io: I, peer: Peer, place: Arc<Place>)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (router, shutdown) = (self.router.clone(), self.shutdown.clone());
        self.tasks.spawn(async move {
            let answer = service_fn(move |request: Request<Incoming>| {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(peer.clone());
                let answering = router.clone().call(request);
                async move { Ok::<_, Infallible>(answering.await.unwrap_or_else(|never| match never {})) }
            });
            let mut http = http1::Builder::new();
            let connection = http.timer(TokioTimer::new()).header_read_timeout(HEAD);
            let connection = connection.serve_connection(TokioIo::new(io), answer);
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = place.gone.cancelled() => Ok(()),
                () = shutdown.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection has ended");
            }
        });
    }

    /// Waits for open requests, once the company stops.
    pub(crate) async fn close(self) {
        self.tasks.close();
        if tokio::time::timeout(STOP_GRACE, self.tasks.wait()).await.is_err() {
            tracing::warn!("HTTP requests were still open after {STOP_GRACE:?}; they were dropped");
        }
    }
}

/// A connection; none: it was gone before it was accepted, or the system has no descriptor for it.
async fn settle<T>(accepted: io::Result<T>) -> Option<T> {
    match accepted {
        Ok(connection) => return Some(connection),
        Err(error) if is_of_one(&error) => {}
        Err(error) => {
            tracing::error!("a connection could not be accepted: {error}");
            tokio::time::sleep(SHORT).await;
        }
    }
    None
}

/// The error is of one connection, and not of the listener.
fn is_of_one(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
