//! Each way in which a message can be wrong has its code, and names the place.

use super::*;
use rmcp::model::ClientJsonRpcMessage;

fn code(answer: &str) -> (i64, Value, String) {
    let answer: Value = serde_json::from_str(answer).unwrap();
    let message = answer["error"]["message"].as_str().unwrap().to_owned();
    (answer["error"]["code"].as_i64().unwrap(), answer["id"].clone(), message)
}

#[test]
fn each_fault_has_its_code_and_its_id() {
    for (message, expected, id, named) in [
        ("{", -32700, Value::Null, "not JSON"),
        ("hello", -32700, Value::Null, "not JSON"),
        ("{\"jsonrpc\":\"2.0\"", -32700, Value::Null, "not JSON"),
        ("[]", -32600, Value::Null, "batches"),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600, Value::Null, "batches"),
        ("5", -32600, Value::Null, "object"),
        ("{}", -32600, Value::Null, "jsonrpc"),
        (r#"{"jsonrpc":"1.0","id":7,"method":"ping"}"#, -32600, json!(7), "jsonrpc"),
        (r#"{"id":"a","method":"ping"}"#, -32600, json!("a"), "jsonrpc"),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600, Value::Null, "id"),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600, Value::Null, "id"),
        (r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#, -32600, Value::Null, "id"),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32600, json!(1), "method"),
        (r#"{"jsonrpc":"2.0","id":1,"method":5}"#, -32600, json!(1), "method"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#, -32600, json!(1), "result"),
    ] {
        assert!(serde_json::from_str::<ClientJsonRpcMessage>(message).is_err(), "rmcp takes it: {message}");
        let unreadable = Unreadable::of(message.as_bytes());
        assert!(unreadable.is_asked, "{message}");
        let (code, of, text) = code(&unreadable.answer());
        assert_eq!((code, of), (expected, id), "{message}");
        assert!(text.contains(named), "{message}: {text}");
    }
    assert_eq!(code(&Unreadable::of(b"\xff{}").answer()).0, -32700);
    assert_eq!(code(&Unreadable::of(&"[".repeat(100_000).into_bytes()).answer()).0, -32700);
}

#[test]
fn notifications_and_answers_get_none() {
    for message in [
        r#"{"jsonrpc":"1.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","method":5}"#,
        r#"{"jsonrpc":"2.0","id":null,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}"#,
        r#"{"jsonrpc":"2.0","error":5}"#,
    ] {
        assert!(!Unreadable::of(message.as_bytes()).is_asked, "{message}");
    }
}

#[test]
fn a_known_method_with_wrong_parameters_is_not_unknown() {
    for (method, params, named) in [
        ("tools/call", json!({ "name": "cde_listTasks", "arguments": "x" }), "arguments"),
        ("tools/call", json!({ "name": "cde_listTasks", "arguments": [1] }), "arguments"),
        ("tools/call", json!({ "arguments": {} }), "name"),
        ("tools/call", json!({ "name": 5 }), "name"),
        ("tools/call", json!([1]), "params"),
        ("tools/call", Value::Null, "params"),
        ("resources/read", json!({ "uri": 5 }), "uri"),
        ("tools/call", json!({ "name": "x", "_meta": 5 }), "tools/call"),
    ] {
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let read = serde_json::from_value::<ClientJsonRpcMessage>(message.clone());
        let error = match read {
            Ok(ClientJsonRpcMessage::Request(request)) => match request.request {
                rmcp::model::ClientRequest::CustomRequest(request) => not_understood(&request),
                other => panic!("{message} is {other:?}"),
            },
            Ok(other) => panic!("{message} is {other:?}"),
            Err(_) => Unreadable::of(message.to_string().as_bytes()).error,
        };
        assert_eq!(error.code, ErrorCode::INVALID_PARAMS, "{message}: {error:?}");
        assert!(error.message.contains(named), "{message}: {error:?}");
    }
    let unknown = not_understood(&CustomRequest::new("tools/nope", None));
    assert_eq!(
        (unknown.code, unknown.message.as_ref()),
        (ErrorCode::METHOD_NOT_FOUND, "there is no method \"tools/nope\"")
    );
}
