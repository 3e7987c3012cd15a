//! Decoding errors in the words of a person who writes TOML, with the nearest right key or value.

use figment::error::{Actual, Kind};
use nexus_core::route::nearest;

use crate::decode::found;
use crate::secret::is_secret;

pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// True if the value is what is wrong, and not the key.
    pub(crate) on_value: bool,
}

/// `path` is the key that the fault is about.
pub(crate) fn fault(kind: Kind, path: &[String]) -> Fault {
    let key = path.last().map_or("", String::as_str);
    let value = |message: String| Fault { message, help: None, on_value: true };
    match kind {
        Kind::UnknownField(name, known) => {
            let (message, help) = unknown(&format!("unknown key `{name}`"), &name, known, '`');
            Fault { message, help, on_value: false }
        }
        Kind::UnknownVariant(name, known) => {
            let (message, help) = unknown(&format!("`{}` can't be \"{name}\"", label(path)), &name, known, '"');
            Fault { message, help, on_value: true }
        }
        Kind::MissingField(name) => {
            let table = match path {
                [.., list, index] if index.parse::<usize>().is_ok() => format!("this `[[{list}]]`"),
                _ => format!("`{key}`"),
            };
            Fault { message: format!("`{name}` is missing in {table}"), help: None, on_value: false }
        }
        Kind::InvalidType(..) | Kind::InvalidValue(..) if is_secret(path) => {
            value(format!("`{key}` is not a string; put it in quotes"))
        }
        Kind::InvalidType(actual, wanted) | Kind::InvalidValue(actual, wanted) => {
            let message =
                format!("`{}` is {}, and must be {}", label(path), found(&actual), expected(&wanted, &actual));
            let is_number = matches!(actual, Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_));
            let quotes = "put it in quotes; a duration or a size needs a unit too, as in \"90s\" or \"2GiB\"";
            let help = (is_number && wanted == "a string").then(|| quotes.to_owned());
            Fault { message, help, on_value: true }
        }
        Kind::Message(message) => {
            // A name's or a duration's own message says what was written; the key it stands at is missing there.
            let is_key = message.starts_with(&format!("`{key}` "));
            let message = if is_key { message } else { format!("`{}`: {message}", label(path)) };
            Fault { message, help: None, on_value: !is_key }
        }
        other => value(format!("`{}`: {other}", label(path))),
    }
}

/// The last key of a path; for a list's element the list's, as in `agents[1]`.
fn label(path: &[String]) -> String {
    match path {
        [.., list, index] if index.parse::<usize>().is_ok() => format!("{list}[{index}]"),
        [.., key] => key.clone(),
        [] => String::new(),
    }
}

fn expected(wanted: &str, actual: &Actual) -> String {
    match wanted {
        "u8" | "u16" | "u32" | "u64" | "usize" => match actual {
            Actual::Signed(number) if *number < 0 => "zero or more",
            Actual::Signed(_) | Actual::Unsigned(_) => "smaller",
            _ => "a whole number",
        }
        .to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "path string" => "a string".to_owned(),
        "a map" => "a table".to_owned(),
        wanted if wanted.starts_with("struct ") => "a table".to_owned(),
        wanted if wanted.starts_with("enum ") || wanted.starts_with("variant ") => "a string".to_owned(),
        wanted => wanted.to_owned(),
    }
}

/// A message about a name that isn't known, with the nearest that is, or else all of them as help.
pub(crate) fn unknown(message: &str, name: &str, known: &[&str], quote: char) -> (String, Option<String>) {
    match nearest(name, known) {
        Some(near) => (format!("{message}, did you mean {quote}{near}{quote}?"), None),
        None if known.is_empty() => (message.to_owned(), None),
        None => (message.to_owned(), Some(format!("known here: {}", known.join(", ")))),
    }
}
