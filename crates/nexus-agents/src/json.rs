//! Reading the agents' JSON, which is other people's: whatever isn't as expected is absent, and nothing fails.

use serde_json::Value;

/// A line that is an object with a `type`, and that type; anything else is no message.
pub(crate) fn message(line: &[u8]) -> Option<(String, Value)> {
    let line = line.trim_ascii();
    if line.first() != Some(&b'{') {
        return None;
    }
    let value: Value = serde_json::from_slice(line).ok()?;
    let kind = value.get("type")?.as_str()?.to_owned();
    Some((kind, value))
}

/// The string at this pointer; empty if there is none.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The number at this pointer, whole and not below 0.
pub(crate) fn number(value: &Value, pointer: &str) -> Option<u64> {
    value.pointer(pointer).and_then(Value::as_u64)
}

/// The HTTP status at this pointer.
pub(crate) fn status(value: &Value, pointer: &str) -> Option<u16> {
    number(value, pointer).and_then(|status| u16::try_from(status).ok())
}

/// A tool's arguments in short: the one of them that tells most.
pub(crate) fn about(arguments: &Value) -> String {
    const TELLING: [&str; 12] = [
        "command",
        "cmd",
        "filePath",
        "file_path",
        "path",
        "pattern",
        "query",
        "url",
        "description",
        "department",
        "task_id",
        "name",
    ];
    let telling = TELLING.iter().find_map(|name| arguments.get(name).and_then(Value::as_str));
    match arguments {
        _ if telling.is_some() => short(telling.unwrap_or_default()),
        Value::String(text) => short(text),
        Value::Null => String::new(),
        Value::Object(fields) if fields.is_empty() => String::new(),
        other => short(&other.to_string()),
    }
}

/// Characters that are kept of an answer or of arguments as they are.
const SHORT: usize = 300;

pub(crate) fn short(text: &str) -> String {
    text.chars().take(SHORT).collect()
}

/// A line that is no message, as it is.
pub(crate) fn plain(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}

/// The number at this pointer, 0 if there is none.
pub(crate) fn count(value: &Value, pointer: &str) -> u64 {
    number(value, pointer).unwrap_or_default()
}

/// The number at this pointer, with a fraction.
pub(crate) fn fraction(value: &Value, pointer: &str) -> Option<f64> {
    value.pointer(pointer).and_then(Value::as_f64)
}

/// True if the value at this pointer is `true`.
pub(crate) fn is(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
}

/// The elements of the array at this pointer.
pub(crate) fn each<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The first line of a text that says something.
pub(crate) fn first_line(text: &str) -> String {
    short(text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim())
}

/// A line for a terminal, without what would colour it.
pub(crate) fn uncoloured(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    let mut pieces = line.split("\u{1b}[");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|c: char| c.is_ascii_alphabetic()).map_or(piece.len(), |at| at + 1);
        text.push_str(&piece[end..]);
    }
    text
}
