//! Messages that can't be read: what JSON-RPC 2.0 has to say of them.

use rmcp::model::{CustomRequest, ErrorCode, ErrorData};
use serde_json::{Map, Value, json};

/// RFC 8259, section 8.1: it may be there, and says nothing.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Methods that the server has. A request for one of them that rmcp has no type for has wrong parameters.
const METHODS: [&str; 8] = [
    "initialize",
    "server/discover",
    "ping",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
];

/// A message that can't be read, and why.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unreadable {
    /// That of the message, where it has a valid one.
    id: Value,
    error: ErrorData,
    /// It asks for an answer, or nobody can tell whether it does.
    pub(crate) is_asked: bool,
}

impl Unreadable {
    /// Finds out what is wrong with a message that rmcp refuses.
    pub(crate) fn of(message: &[u8]) -> Self {
        let nameless = |error| Self { id: Value::Null, error, is_asked: true };
        match serde_json::from_slice(message.strip_prefix(BYTE_ORDER_MARK).unwrap_or(message)) {
            Err(error) => nameless(ErrorData::parse_error(format!("this is not JSON: {error}"), None)),
            Ok(Value::Object(message)) => object(&message),
            Ok(Value::Array(_)) => nameless(invalid("there are no batches: send each message by itself")),
            Ok(_) => nameless(invalid("a message is a JSON object")),
        }
    }

    /// A message with more than `limit` bytes.
    pub(crate) fn long(limit: usize) -> Self {
        let error = invalid(&format!("a message has at most {limit} bytes; hand long texts over as a file"));
        Self { id: Value::Null, error, is_asked: true }
    }

    /// The answer to it, as JSON.
    pub(crate) fn answer(&self) -> String {
        json!({ "jsonrpc": "2.0", "id": self.id, "error": self.error }).to_string()
    }
}

fn object(message: &Map<String, Value>) -> Unreadable {
    let given = message.get("id");
    let is_id = |id: &Value| id.is_string() || id.is_i64() || id.is_u64();
    let id = given.filter(|id| is_id(id)).cloned().unwrap_or_default();
    let method = message.get("method");
    let answers = ["result", "error"].into_iter().any(|key| message.contains_key(key));
    let error = match method.map(Value::as_str) {
        _ if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") => {
            invalid("\"jsonrpc\" is missing, or not \"2.0\"")
        }
        _ if given.is_some_and(|id| !is_id(id)) => invalid("\"id\" is neither a string nor an integer"),
        None if answers => invalid("an answer has an \"id\", and either \"result\" or \"error\""),
        None => invalid("\"method\" is missing"),
        Some(None) => invalid("\"method\" is not a string"),
        Some(_) if answers => invalid("a request has neither \"result\" nor \"error\""),
        Some(Some(method)) => wrong_params(method, message.get("params")),
    };
    // Neither a notification nor an answer is ever answered.
    Unreadable {
        id,
        error,
        is_asked: given.is_some() && !(method.is_none() && answers) || method.is_none() && !answers,
    }
}

fn invalid(what: &str) -> ErrorData {
    ErrorData::invalid_request(what.to_owned(), None)
}

fn wrong_params(method: &str, params: Option<&Value>) -> ErrorData {
    let missing = || params.is_none_or(Value::is_null);
    let field = |name: &str| params.and_then(|params| params.get(name));
    let what = match method {
        _ if params.is_some_and(|params| !params.is_object() && !params.is_null()) => {
            "\"params\" is not an object".into()
        }
        "tools/call" | "resources/read" | "initialize" if missing() => format!("{method} needs \"params\""),
        "tools/call" if !field("name").is_some_and(Value::is_string) => {
            "tools/call needs \"name\": the tool's, as a string".into()
        }
        "tools/call" if field("arguments").is_some_and(|given| !given.is_object() && !given.is_null()) => {
            "\"arguments\" of tools/call is not an object, such as {\"task_id\": \"...\"}".into()
        }
        "resources/read" if !field("uri").is_some_and(Value::is_string) => {
            "resources/read needs \"uri\", as a string".into()
        }
        _ => format!("the \"params\" of {method} are not those of MCP"),
    };
    ErrorData::invalid_params(what, None)
}

/// The error of a request that rmcp knows no type for: of an unknown method, or of a known one with wrong parameters.
pub(crate) fn not_understood(request: &CustomRequest) -> ErrorData {
    let method = request.method.as_str();
    match METHODS.contains(&method) {
        true => wrong_params(method, request.params.as_ref()),
        false => ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("there is no method {method:?}"), None),
    }
}

#[cfg(test)]
mod tests;
