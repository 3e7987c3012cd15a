//! Which path leads where, and how long an answer may take.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use axum::{Json, Router};
use nexus_bus::Client;
use serde_json::json;
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};
use tower_service::Service;

use crate::guard::{only_its_owner, only_this_machine};
use crate::page;
use crate::token::Token;

/// Longest wait for an answer that is not a stream.
const ANSWER: Duration = Duration::from_secs(10);
/// Longest pause within a request's body.
const BODY_PAUSE: Duration = Duration::from_secs(30);

/// Headers of every page: nothing is loaded from elsewhere, nothing is kept.
const GUARDS: [(HeaderName, &str); 3] = [
    (CACHE_CONTROL, "no-store"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
];

pub(crate) fn router<S>(client: Client, mcp: S, token: Token, addr: SocketAddr) -> Router
where
    S: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Response: IntoResponse,
    S::Future: Send + 'static,
{
    let page = page::render(addr);
    let answers = Router::new()
        .route("/", get(move || async move { (GUARDS, Html(page)) }))
        .route("/healthz", get(|| async { (GUARDS, "ok") }))
        .route("/readyz", get(readyz))
        .fallback(missing)
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, ANSWER))
        .with_state(client);
    // What is mounted here answers with streams that last, and bounds its bodies itself.
    let streams = Router::new().route_service("/mcp", mcp).layer(RequestBodyTimeoutLayer::new(BODY_PAUSE));
    let owned = from_fn_with_state(Arc::new(token), only_its_owner);
    answers.merge(streams).layer(owned).layer(from_fn(only_this_machine))
}

/// Ready means that a CEO answers, not only that this process lives.
async fn readyz(State(client): State<Client>) -> impl IntoResponse {
    if client.is_ready().await {
        return (StatusCode::OK, GUARDS, Json(json!({ "status": "ready" })));
    }
    let message = "no CEO answers yet: the company is starting or stopping, or its broker can't be reached";
    (StatusCode::SERVICE_UNAVAILABLE, GUARDS, Json(json!({ "status": "unready", "message": message })))
}

async fn missing() -> impl IntoResponse {
    let message = "there is nothing here; / says what there is";
    (StatusCode::NOT_FOUND, GUARDS, Json(json!({ "status": "error", "message": message })))
}
