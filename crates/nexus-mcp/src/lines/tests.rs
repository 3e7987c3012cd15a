//! Lines that come in, and answers that go back to those that can't be read.

use rmcp::model::{ClientRequest, JsonRpcMessage, RequestId};
use serde_json::Value;
use tokio::io::{AsyncReadExt, DuplexStream};

use super::*;

const LIMIT: usize = 200;
const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

type Served = Lines<tokio::io::ReadHalf<DuplexStream>, tokio::io::WriteHalf<DuplexStream>>;

fn served() -> (DuplexStream, Served) {
    let (ours, theirs) = tokio::io::duplex(64);
    let (read, write) = tokio::io::split(theirs);
    (ours, Lines::new(read, write, LIMIT))
}

/// The ids of the requests that are read, and the codes of the errors that are answered.
async fn said(text: &str) -> (Vec<RequestId>, Vec<i64>) {
    let (mut client, mut lines) = served();
    let serving = tokio::spawn(async move {
        let mut ids = Vec::new();
        while let Some(message) = lines.receive().await {
            if let JsonRpcMessage::Request(request) = message {
                assert!(matches!(request.request, ClientRequest::PingRequest(_)));
                ids.push(request.id);
            }
        }
        ids
    });
    let (mut heard, mut says) = tokio::io::split(&mut client);
    let mut answers = String::new();
    let write = async {
        says.write_all(text.as_bytes()).await.unwrap();
        says.shutdown().await.unwrap();
    };
    tokio::join!(write, async { heard.read_to_string(&mut answers).await.unwrap() });
    let code = |line: &str| serde_json::from_str::<Value>(line).unwrap()["error"]["code"].as_i64().unwrap();
    (serving.await.unwrap(), answers.lines().map(code).collect())
}

#[tokio::test]
async fn what_cannot_be_read_is_answered_and_the_rest_is_read() {
    let long = "x".repeat(3 * LIMIT);
    let text = format!("{{\n[{PING}]\n{PING}\r\n\n{{\"jsonrpc\":\"2.0\",\"id\":2}}\n{long}\n\u{feff}{PING}\n{PING}");
    let (ids, codes) = said(&text).await;
    // The last line has no end.
    assert_eq!(ids, [RequestId::Number(1), RequestId::Number(1)]);
    assert_eq!(codes, [-32700, -32600, -32600, -32600]);
}

#[tokio::test]
async fn a_line_may_be_as_long_as_the_limit() {
    let fits = format!("{PING}{}", " ".repeat(LIMIT - PING.len()));
    assert_eq!(said(&format!("{fits}\n{fits} \n{PING}\n")).await, (vec![RequestId::Number(1); 2], vec![-32600]));
}

#[tokio::test]
async fn a_reader_that_is_dropped_half_way_goes_on_with_the_same_line() {
    let (mut client, mut lines) = served();
    let (start, end) = PING.split_at(20);
    for part in [start, end] {
        client.write_all(part.as_bytes()).await.unwrap();
        let dropped = tokio::time::timeout(std::time::Duration::from_millis(1), lines.receive()).await;
        assert!(dropped.is_err());
    }
    client.write_all(b"\n").await.unwrap();
    assert!(matches!(lines.receive().await, Some(JsonRpcMessage::Request(_))));
}
