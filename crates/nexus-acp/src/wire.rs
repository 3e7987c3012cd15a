//! JSON-RPC 2.0, one message a line: what a line is, and lines to send.

use agent_client_protocol::JsonRpcMessage;
use agent_client_protocol::v1::schema::{Error, RequestId};
use serde_json::{Value, json};

/// A message of the agent's.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame {
    Request { id: RequestId, method: String, params: Value },
    Notification { method: String, params: Value },
    Answer { id: RequestId, result: Result<Value, Error> },
}

/// The message in a line, if it is one.
pub(crate) fn read(line: &[u8]) -> Option<Frame> {
    let Value::Object(mut message) = serde_json::from_slice(line).ok()? else { return None };
    if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return None;
    }
    let id = message.remove("id").map(serde_json::from_value::<RequestId>).transpose().ok()?;
    let params = message.remove("params").unwrap_or(Value::Null);
    match (message.remove("method"), id) {
        (Some(Value::String(method)), Some(id)) => Some(Frame::Request { id, method, params }),
        (Some(Value::String(method)), None) => Some(Frame::Notification { method, params }),
        (Some(_), _) | (None, None) => None,
        (None, Some(id)) => {
            let result = match message.remove("error") {
                Some(Value::Null) | None => Ok(message.remove("result").unwrap_or(Value::Null)),
                Some(error) => Err(read_error(error)),
            };
            Some(Frame::Answer { id, result })
        }
    }
}

/// An error that isn't made as one has to be is one all the same.
fn read_error(error: Value) -> Error {
    serde_json::from_value(error.clone()).unwrap_or_else(|_| Error::internal_error().data(error))
}

pub(crate) fn request(id: i64, method: &str, params: &Value) -> Vec<u8> {
    line(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
}

pub(crate) fn notification(message: &impl JsonRpcMessage) -> Vec<u8> {
    line(&json!({"jsonrpc": "2.0", "method": message.method(), "params": params(message)}))
}

pub(crate) fn answer(id: &RequestId, result: Result<Value, Error>) -> Vec<u8> {
    line(&match result {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error}),
    })
}

/// A message's own part. Those that we send can be written; one that can't is sent empty, and refused.
pub(crate) fn params(message: &impl JsonRpcMessage) -> Value {
    message.to_untyped_message().map_or(Value::Null, |message| message.params)
}

fn line(message: &Value) -> Vec<u8> {
    let mut line = message.to_string().into_bytes();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_message_or_none() {
        let kind = |line: &str| match read(line.as_bytes()) {
            Some(Frame::Request { .. }) => "request",
            Some(Frame::Notification { .. }) => "notification",
            Some(Frame::Answer { result: Ok(_), .. }) => "result",
            Some(Frame::Answer { result: Err(_), .. }) => "error",
            None => "none",
        };
        for (line, expected) in [
            (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{}}"#, "request"),
            (r#"{"jsonrpc":"2.0","id":"x","method":"a"}"#, "request"),
            (r#"{"jsonrpc":"2.0","method":"a"}"#, "notification"),
            (r#"{"jsonrpc":"2.0","id":1,"result":null}"#, "result"),
            (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":null}"#, "result"),
            (r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"x"}}"#, "error"),
            (r#"{"jsonrpc":"2.0","id":1,"error":"words"}"#, "error"),
            (r#"{"jsonrpc":"2.0","id":1.5,"result":{}}"#, "none"),
            (r#"{"jsonrpc":"2.0"}"#, "none"),
            (r#"{"jsonrpc":"2.0","method":7}"#, "none"),
            (r#"{"id":1,"method":"GET"}"#, "none"),
            (r#"[{"jsonrpc":"2.0","method":"a"}]"#, "none"),
            ("Loading...", "none"),
            ("", "none"),
        ] {
            assert_eq!(kind(line), expected, "{line}");
        }
    }
}
