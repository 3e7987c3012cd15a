//! Fills a trigger's description in. What is run as a command takes values only as words that are quoted for the shell.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Object, Serde, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value, context};
use nexus_core::trigger::FILTER;

/// What the filter makes of a value: nothing else is let into a command, and what another filter makes of it isn't one.
#[derive(Debug)]
struct Quoted(String);

impl Object for Quoted {
    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn fill(template: &str, data: serde_json::Value, subject: &str, is_command: bool) -> Result<String, Error> {
    let mut environment = Environment::new();
    // A misspelt name is a dead letter that says so, not a description with a hole in it.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_filter(FILTER, quote);
    if is_command {
        environment.set_formatter(only_quoted);
    }
    environment.render_str(template, context! { data => Value::from(Serde(data)), subject })
}

fn quote(value: &Value) -> Result<Value, Error> {
    Ok(Value::from_object(Quoted(word(value)?)))
}

/// A value as one word; those of a list as one each.
fn word(value: &Value) -> Result<String, Error> {
    let no_word =
        |what: &str| Err(Error::new(ErrorKind::InvalidOperation, format!("{what} can't be a word of a command")));
    match value.kind() {
        ValueKind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::None => no_word("null"),
        ValueKind::Map | ValueKind::Plain | ValueKind::Invalid => no_word("an object"),
        ValueKind::Seq | ValueKind::Iterable => {
            let words = value.try_iter()?.map(|value| word(&value)).collect::<Result<Vec<_>, _>>()?;
            Ok(words.join(" "))
        }
        _ => {
            let text = value.to_string();
            match shlex::try_quote(&text) {
                Ok(quoted) => Ok(quoted.into_owned()),
                Err(error) => no_word(&error.to_string()),
            }
        }
    }
}

fn only_quoted(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.downcast_object_ref::<Quoted>() {
        Some(Quoted(text)) => out.write_str(text).map_err(Error::from),
        None => {
            let message = format!("a value in a command has to be quoted: write {{{{ ... | {FILTER} }}}}");
            Err(Error::new(ErrorKind::InvalidOperation, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::fill;

    fn check(template: &str, is_command: bool, expected: &str) {
        let data = json!({ "x": "a b'; echo $(id)\n", "n": 7, "list": ["a", "b c"], "none": null, "map": {} });
        let said = match fill(template, data, "ci.failed", is_command) {
            Ok(text) => text,
            Err(error) => format!("error: {error:#}"),
        };
        assert!(said == expected || said.starts_with("error: ") && said.contains(expected), "{template}: {said}");
    }

    #[test]
    fn a_command_takes_values_as_quoted_words_alone() {
        let evil = "a b'; echo $(id)\n";
        let text = fill("echo {{ data.x | shell }}", json!({ "x": evil }), "s", true).unwrap();
        assert_eq!(shlex::split(&text).unwrap(), ["echo", evil], "{text}");
        check("echo {{ data.n | shell }} {{ subject | shell }}", true, "echo 7 ci.failed");
        check("echo {{ data.list | shell }}", true, "echo a 'b c'");
        check("{% if data.n > 1 %}echo{% endif %}", true, "echo");
        for bad in [
            "{{ data.x }}",
            "{{ data.n }}",
            "{{ data.x | safe }}",
            "{{ data.x | shell | upper }}",
            "{{ 'a' ~ data.x | shell }}",
            "{{ [data.x | shell, data.x] | join }}",
        ] {
            check(bad, true, "a value in a command has to be quoted");
        }
        check("{{ data.none | shell }}", true, "null can't be a word");
        check("{{ data.map | shell }}", true, "an object can't be a word");
        check("{{ data.missing | shell }}", true, "undefined");
    }

    #[test]
    fn prose_takes_them_as_they_are() {
        check("Fix {{ data.n }}: {{ data.x }}", false, "Fix 7: a b'; echo $(id)\n");
        check("{{ data.missing }}", false, "undefined");
    }
}
