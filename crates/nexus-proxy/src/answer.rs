//! One request: let through as a tunnel, written anew to its server, or refused.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use nexus_core::network::{Origin, Target};
use tokio::sync::OwnedSemaphorePermit;

use crate::Refusal;
use crate::headers::strip;
use crate::serve::Shared;
use crate::upstream::{Opened, Unreached};

pub(crate) type Body = Either<Full<Bytes>, Incoming>;

/// The answer in place of the one that was asked for.
type Refused = Box<Response<Body>>;

/// An answer of the proxy's own.
fn say(status: StatusCode, text: impl Into<String>) -> Refused {
    let text: String = text.into();
    let mut response = Response::new(Either::Left(Full::from(text + "\n")));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Box::new(response)
}

impl Shared {
    /// `held` is the connection's place among those that there may be; a tunnel keeps it.
    pub(crate) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        held: Arc<OwnedSemaphorePermit>,
    ) -> Response<Body> {
        let answered = if request.method() == Method::CONNECT {
            self.tunnel(request, held).await
        } else {
            self.forward(request).await
        };
        answered.unwrap_or_else(|refused| *refused)
    }

    async fn tunnel(
        &self,
        request: Request<Incoming>,
        held: Arc<OwnedSemaphorePermit>,
    ) -> Result<Response<Body>, Refused> {
        let target = target(request.uri(), 443).ok_or_else(|| malformed("CONNECT needs host:port"))?;
        self.admit(&target)?;
        let connected = self.rules.upstream.connect(&self.rules.allowed, &target).await;
        let mut stream = connected.map_err(|error| self.unreached(&target, error))?;
        let closing = self.closing.clone();
        tokio::spawn(closing.run_until_cancelled_owned(async move {
            let _held = held;
            if let Ok(upgraded) = hyper::upgrade::on(request).await {
                // Either side may end it as it likes.
                let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(upgraded), &mut stream).await;
            }
        }));
        Ok(Response::new(Either::Left(Full::default())))
    }

    async fn forward(&self, mut request: Request<Incoming>) -> Result<Response<Body>, Refused> {
        let uri = request.uri();
        if uri.scheme_str() != Some("http") {
            return Err(malformed("a request to a proxy is CONNECT, or names http://host/"));
        }
        let asked = target(uri, 80).ok_or_else(|| malformed("its host is none"))?;
        let injection = self.rules.injections.iter().find(|injection| injection.is_for(&asked));
        let origin = injection.map_or(Origin { target: asked, tls: false }, |injection| injection.to.clone());
        self.admit(&origin.target)?;
        let opened = self.rules.upstream.open(&self.rules.allowed, &origin).await;
        let Opened { stream, by } = opened.map_err(|error| self.unreached(&origin.target, error))?;

        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        // A proxy is told the whole address, and a server its own part of it.
        let asked = by.as_ref().map_or_else(|| path.to_owned(), |_| format!("http://{}{path}", origin.target));
        *request.uri_mut() = asked.parse().map_err(|_| malformed("its path is none"))?;
        let is_sized = request.body().size_hint().exact().is_some();
        let headers = request.headers_mut();
        strip(headers);
        if !is_sized {
            // Beside chunks it would be a second, different end of the body.
            headers.remove(header::CONTENT_LENGTH);
        }
        headers.insert(header::HOST, host(&origin)?);
        if let Some(login) = by.and_then(|parent| parent.authorization) {
            headers.insert(header::PROXY_AUTHORIZATION, login);
        }
        for injection in self.rules.injections.iter().filter(|injection| injection.to == origin) {
            headers.insert(injection.header.clone(), injection.value.clone());
        }
        self.exchange(stream, request, &origin.target).await
    }

    async fn exchange(
        &self,
        stream: Box<dyn crate::upstream::Stream>,
        request: Request<Incoming>,
        target: &Target,
    ) -> Result<Response<Body>, Refused> {
        let broken = |error: hyper::Error| say(StatusCode::BAD_GATEWAY, format!("nexus: {target}: {error}"));
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // Of its end the sender and the body hear.
        let closing = self.closing.clone();
        tokio::spawn(async move { drop(closing.run_until_cancelled_owned(connection).await) });
        let mut response = sender.send_request(request).await.map_err(broken)?;
        strip(response.headers_mut());
        Ok(response.map(Either::Right))
    }

    fn admit(&self, target: &Target) -> Result<(), Refused> {
        self.rules.allowed.admit(target).map_err(|denied| self.refused(target, denied.to_string()))
    }

    fn unreached(&self, target: &Target, error: Unreached) -> Refused {
        match error {
            Unreached::Denied(denied) => self.refused(target, denied.to_string()),
            Unreached::TimeOut(_) => say(StatusCode::GATEWAY_TIMEOUT, format!("nexus: {error}")),
            _ => say(StatusCode::BAD_GATEWAY, format!("nexus: {error}")),
        }
    }

    fn refused(&self, target: &Target, why: String) -> Refused {
        let refusal = Refusal { target: target.clone(), why };
        let response = say(StatusCode::FORBIDDEN, format!("nexus: {refusal}"));
        self.refuse(refusal);
        response
    }
}

fn malformed(what: &str) -> Refused {
    say(StatusCode::BAD_REQUEST, format!("nexus: this proxy can't make sense of the request: {what}"))
}

/// Names of users and passwords have no place there.
fn target(uri: &Uri, default_port: u16) -> Option<Target> {
    let authority = uri.authority()?.as_str();
    if authority.contains('@') { None } else { Target::parse(authority, default_port) }
}

/// The server's name for whoever asks it.
fn host(origin: &Origin) -> Result<HeaderValue, Refused> {
    let Target { host, port } = &origin.target;
    let is_usual = *port == if origin.tls { 443 } else { 80 };
    let text = if is_usual { host.to_string() } else { origin.target.to_string() };
    HeaderValue::from_str(&text).map_err(|_| malformed("its host is none"))
}
