//! `nexus.ceo.*` as other programs see it: endpoints that can be discovered, and refusals with a service's headers.

use nexus_bus::{Client, Question};
use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::task::Submission;
use serde_json::{Value, json};

use crate::support::{Server, within};

#[tokio::test]
async fn the_service_can_be_discovered_until_it_stops() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let (service, _asks) = bus.serve_ceo("1.2.3").await.unwrap();
    bus.flush().await;
    let raw = server.raw().await;
    let info = raw.request("$SRV.INFO.nexus-ceo", "".into()).await.unwrap();
    let info: Value = serde_json::from_slice(&info.payload).unwrap();
    assert_eq!((&info["name"], &info["version"]), (&json!("nexus-ceo"), &json!("1.2.3")));
    let mut subjects: Vec<_> =
        info["endpoints"].as_array().unwrap().iter().map(|endpoint| endpoint["subject"].as_str().unwrap()).collect();
    subjects.sort_unstable();
    let names = [
        "agents",
        "agents_clear",
        "answer",
        "cancel",
        "departments",
        "list",
        "message",
        "move",
        "overview",
        "ping",
        "rebuild",
        "resume",
        "retry",
        "status",
        "submit",
        "uncommitted",
        "workers",
    ];
    assert_eq!(subjects, names.map(|name| format!("nexus.ceo.{name}")));
    service.stop().await;
    bus.flush().await;
    let error = Client::new(server.bus().await).status("abcd").await.unwrap_err();
    assert_eq!(error.kind, RefusalKind::Unreachable);
    assert!(error.message.contains("no company answers"), "{error}");
}

#[tokio::test]
async fn a_malformed_request_is_refused_with_the_headers_of_a_service() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let (_service, mut asks) = bus.serve_ceo("1.2.3").await.unwrap();
    bus.flush().await;
    let raw = server.raw().await;
    for (endpoint, payload, cause) in [
        ("submit", "{nope", "key must be a string"),
        ("submit", "", "missing field `description`"),
        ("submit", r#"{"description":"x","prority":1}"#, "unknown field `prority`"),
        ("submit", r#"{"description":"x","priority":10}"#, "priority 10 is out of range"),
        ("cancel", "[]", "invalid length 0"),
        ("status", r#"{"task_id":7}"#, "invalid type"),
    ] {
        let answer = raw.request(format!("nexus.ceo.{endpoint}"), payload.into()).await.unwrap();
        let headers = answer.headers.clone().unwrap_or_default();
        let text = headers.get("Nats-Service-Error").map(|value| value.as_str().to_owned()).unwrap_or_default();
        assert_eq!(headers.get("Nats-Service-Error-Code").map(|value| value.as_str()), Some("400"), "{payload}");
        assert!(text.contains(cause), "{payload}: {text}");
        let body: Value = serde_json::from_slice(&answer.payload).unwrap();
        assert_eq!(body["refused"]["kind"], "invalid_input");
        assert_eq!(body["refused"]["message"], text);
    }
    assert!(asks.try_recv().is_err(), "nobody else is bothered");
}

#[tokio::test]
async fn a_question_comes_typed_and_its_refusal_goes_back_typed() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let (_service, mut asks) = bus.serve_ceo("1.2.3").await.unwrap();
    bus.flush().await;
    let client = Client::new(server.bus().await);
    let submission = Submission::new("do it");
    let refusal = Refusal::new(RefusalKind::Busy, "two\nlines").with_help("wait");
    let answer = async {
        let ask = within("a question", asks.recv()).await.unwrap();
        assert_eq!(ask.question, Question::Submit(Box::new(submission.clone())));
        assert!(ask.traceparent.is_some());
        ask.answer.reply::<()>(Err(refusal.clone())).await;
    };
    let (got, ()) = tokio::join!(client.submit(&submission), answer);
    assert_eq!(got.unwrap_err(), refusal);
}

/// NATS would only say that it is too large.
#[tokio::test]
async fn a_description_that_is_too_long_is_refused_before_it_is_sent() {
    let server = Server::start().await;
    let client = Client::new(server.bus().await);
    let error = client.submit(&Submission::new("x".repeat(9 << 20))).await.unwrap_err();
    assert_eq!(error.kind, RefusalKind::InvalidInput);
}
