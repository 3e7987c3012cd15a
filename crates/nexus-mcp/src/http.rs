//! MCP over Streamable HTTP, as a tower service that a web server mounts at `/mcp`.

use std::convert::Infallible;
use std::fmt::Display;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use nexus_bus::Client;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use crate::envelope::Unreadable;
use crate::server::Server;

/// Largest accepted message, in bytes: a description and a context of 256 KiB each, both with every character escaped
/// once, and a margin. What is longer than a task may be, and still fits, is refused with a sentence.
const MAX_BODY: usize = (1 << 20) + (1 << 18);

const JSON: &str = "application/json";

/// A tower service over `http` types; cheap to clone.
#[derive(Clone)]
pub struct HttpService(StreamableHttpService<Server, NeverSessionManager>);

impl std::fmt::Debug for HttpService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("HttpService").finish_non_exhaustive()
    }
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

impl<B> Service<Request<B>> for HttpService
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Display,
{
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.answer(request).await) })
    }
}

impl HttpService {
    /// Has rmcp answer. Where that can't read the message, JSON-RPC's own error takes the place of its text about media types.
    async fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Display,
    {
        let is_json = is_json(request.headers());
        let read = Arc::new(Mutex::new(Vec::new()));
        let reader = Arc::clone(&read);
        let request = request.map(|body| {
            body.map_frame(move |frame| {
                if let Some(data) = frame.data_ref() {
                    reader.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(data);
                }
                frame
            })
        });
        let answer = self.0.handle(request).await;
        if answer.status() != StatusCode::UNSUPPORTED_MEDIA_TYPE || !is_json {
            return answer;
        }
        let message = Unreadable::of(&read.lock().unwrap_or_else(PoisonError::into_inner)).answer();
        let mut answer = Response::new(Full::from(message).boxed());
        *answer.status_mut() = StatusCode::BAD_REQUEST;
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        answer
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(JSON))
}

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
    let sessions = Arc::new(NeverSessionManager::default());
    HttpService(StreamableHttpService::new(move || Ok(server.clone()), sessions, config))
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
