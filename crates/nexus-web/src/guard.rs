//! Who may ask: only this machine, by its own name, with the company's token, and none of its confined agents.
//!
//! A page of another site that has its name point here gets nothing (DNS rebinding).

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONNECTION, HOST, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::peer::Peer;
use crate::token::Token;

/// What is asked for without a token: whether the company is well.
pub(crate) const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// Refuses every request whose `Host` is not this machine.
pub(crate) async fn only_this_machine(request: Request, next: Next) -> Response {
    if is_this_machine(request.headers()) {
        return next.run(request).await;
    }
    refusal(StatusCode::FORBIDDEN, "this server answers only to localhost, 127.0.0.1 and [::1]")
}

/// Refuses every request that doesn't show the token, and whatever a confined agent asks for.
///
/// This is the only place that decides who somebody is.
pub(crate) async fn only_its_owner(State(token): State<Arc<Token>>, request: Request, next: Next) -> Response {
    let peer = match request.extensions().get::<Peer>() {
        Some(Peer::Owner) => return next.run(request).await,
        Some(Peer::Loopback(peer)) => Arc::clone(peer),
        None => return unauthorized(request.uri().path()),
    };
    if OPEN.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    if !shows(&request, &token) {
        return unauthorized(request.uri().path());
    }
    // First, so that those without a token can't take its place while it is looked at.
    if !peer.place().admit() {
        let busy = refusal(StatusCode::SERVICE_UNAVAILABLE, "too many connections are open; close some, or try again");
        return ([(RETRY_AFTER, "1")], busy).into_response();
    }
    if peer.is_confined().await {
        let message = "this port is not for confined agents, nor for who can't be found: an agent has its own tools; \
                       programs of the company's user can use the socket nexus.sock in the data directory";
        return ([(CONNECTION, "close")], refusal(StatusCode::FORBIDDEN, message)).into_response();
    }
    next.run(request).await
}

/// True if the request shows the token: as a bearer's, or, to look at a page, as a browser's password.
fn shows(request: &Request, token: &Token) -> bool {
    let mut shown = request.headers().get_all(AUTHORIZATION).iter();
    let (Some(shown), None) = (shown.next(), shown.next()) else { return false };
    let Some((scheme, rest)) = shown.to_str().ok().and_then(|shown| shown.split_once(' ')) else { return false };
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return token.is(rest);
    }
    // A browser adds it by itself, also to what a page of another site asks for: that may look at most.
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    looks && scheme.eq_ignore_ascii_case("basic") && password(rest).is_some_and(|password| token.is(&password))
}

/// The password of credentials as browsers send them; the user's name is anything.
fn password(credentials: &str) -> Option<String> {
    let text = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    Some(text.split_once(':')?.1.to_owned())
}

fn unauthorized(path: &str) -> Response {
    let message = "this company asks for its token: send `Authorization: Bearer TOKEN`; `nexus token show` prints it, and \
                   `nexus mcp config` what a client needs. In a browser it is the password, for any name";
    // A browser asks its user for a password; clients of MCP expect the other one.
    let way = if path == "/mcp" { "Bearer realm=\"nexus\"" } else { "Basic realm=\"nexus\", charset=\"UTF-8\"" };
    ([(WWW_AUTHENTICATE, HeaderValue::from_static(way))], refusal(StatusCode::UNAUTHORIZED, message)).into_response()
}

fn refusal(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "status": "error", "message": message }))).into_response()
}

/// The port is free: a tunnel may end at another one.
fn is_this_machine(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let authority = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    authority.is_some_and(|authority| {
        let name = authority.host();
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        !authority.as_str().contains('@')
            && (name.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn check(host: &str, expected: bool) {
        let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_str(host).unwrap())]);
        assert_eq!(is_this_machine(&headers), expected, "{host}");
    }

    #[test]
    fn loopback_names_pass_and_others_do_not() {
        for good in ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "127.8.0.1", "[::1]:8000"] {
            check(good, true);
        }
        for bad in ["evil.example", "localhost.evil.example:8000", "10.0.0.1", "user@localhost", "", "127.0.0.1.nip.io"]
        {
            check(bad, false);
        }
        assert!(!is_this_machine(&HeaderMap::new()));
        let mut two = HeaderMap::new();
        two.append(HOST, HeaderValue::from_static("localhost"));
        two.append(HOST, HeaderValue::from_static("evil.example"));
        assert!(!is_this_machine(&two));
    }

    #[test]
    fn the_token_is_shown_by_a_bearer_or_as_the_password_of_who_looks() {
        let token = Token::generate().unwrap();
        let (it, other) = (token.expose(), Token::generate().unwrap());
        let basic = |password: &str| format!("Basic {}", STANDARD.encode(format!("me:{password}")));
        let post = Method::POST;
        for (method, shown, expected) in [
            (&post, vec![format!("Bearer {it}")], true),
            (&post, vec![format!("bearer  {it}")], true),
            (&Method::GET, vec![basic(it)], true),
            (&post, vec![basic(it)], false),
            (&Method::GET, vec![basic(other.expose())], false),
            (&post, vec![format!("Bearer {}", other.expose())], false),
            (&post, vec![format!("Bearer {it}"), format!("Bearer {it}")], false),
            (&post, vec![it.to_owned()], false),
            (&post, vec!["Bearer".to_owned()], false),
            (&post, vec!["Basic ###".to_owned()], false),
            (&post, vec![], false),
        ] {
            let mut request = Request::builder().method(method);
            for shown in &shown {
                request = request.header(AUTHORIZATION, shown);
            }
            assert_eq!(shows(&request.body(Body::empty()).unwrap(), &token), expected, "{method} {shown:?}");
        }
    }
}
