//! Whom a request was meant for: a page of another site that has its name point here gets nothing (DNS rebinding).

use std::net::IpAddr;

use axum::Json;
use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Refuses every request whose `Host` is not this machine.
pub(crate) async fn only_this_machine(request: Request, next: Next) -> Response {
    if is_this_machine(request.headers()) {
        return next.run(request).await;
    }
    let message = "this server answers only to localhost, 127.0.0.1 and [::1]";
    (StatusCode::FORBIDDEN, Json(json!({ "status": "error", "message": message }))).into_response()
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
    use axum::http::HeaderValue;

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
}
