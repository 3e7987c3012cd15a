//! One TOML file, read into a layer: values, the span of every key, and every syntax error.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use figment::value::{Dict, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::errors::ConfigError;
use crate::layer::{File, Layer, Path, Spot};
use crate::secret::is_hidden;

/// Reads a file whose keys stand under `base` in the whole configuration.
pub(crate) fn read(name: &str, text: &str, base: &[String]) -> (Layer, Vec<ConfigError>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (table, faults) = DeTable::parse_recoverable(text);
    let mut walk = Walk::default();
    let values = walk.table(table.get_ref(), base);
    let file = Arc::new(File { name: name.to_owned(), text: mask(text, &walk.spans) });
    let syntax = |fault: toml::de::Error| {
        let span = fault.span().unwrap_or(0..0);
        ConfigError::new(fault.message().lines().collect::<Vec<_>>().join(", ")).in_file(&file, span)
    };
    let mut errors: Vec<_> = faults.into_iter().map(syntax).collect();
    // A bracket that is never closed swallows what follows it: only the first fault is one then.
    let swallows = |error: &ConfigError| error.message.starts_with("unclosed array,");
    errors.sort_by_key(|error| error.at);
    if errors.iter().any(swallows) {
        errors.truncate(1);
    }
    errors.dedup_by_key(|error| error.at.map(|(line, _)| line));
    let spot = |(path, (key, value))| (path, Spot::File { file: Arc::clone(&file), key, value });
    let mut spots: BTreeMap<Path, Spot> = walk.spans.into_iter().map(spot).collect();
    let mut nested = values;
    for end in (1..=base.len()).rev() {
        spots.insert(base[..end].to_vec(), Spot::File { file: Arc::clone(&file), key: 0..0, value: 0..0 });
        nested = Dict::from([(base[end - 1].clone(), Value::from(nested))]);
    }
    (Layer { values: nested, spots, is_text: false }, errors)
}

type Spans = BTreeMap<Path, (Range<usize>, Range<usize>)>;

#[derive(Default)]
struct Walk {
    spans: Spans,
}

impl Walk {
    fn table(&mut self, table: &DeTable<'_>, at: &[String]) -> Dict {
        let mut dict = Dict::new();
        for (key, value) in table {
            let path = below(at, key.get_ref());
            // A value that the parser made up after a syntax error stands nowhere.
            let span = if value.span().is_empty() { key.span() } else { value.span() };
            self.spans.insert(path.clone(), (key.span(), span));
            dict.insert(key.get_ref().to_string(), self.value(value, &path));
        }
        dict
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, at: &[String]) -> Value {
        match value.get_ref() {
            DeValue::String(text) => Value::from(text.as_ref()),
            // TOML's integers are 64 bits wide; a wider one stays text, so that the type error shows it as written.
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| Value::from(number.as_str()), Value::from),
            DeValue::Float(number) => {
                number.as_str().parse::<f64>().map_or_else(|_| Value::from(number.as_str()), Value::from)
            }
            DeValue::Boolean(yes) => Value::from(*yes),
            DeValue::Datetime(time) => Value::from(time.to_string()),
            DeValue::Array(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    let path = below(at, &index.to_string());
                    self.spans.insert(path.clone(), (item.span(), item.span()));
                    list.push(self.value(item, &path));
                }
                Value::from(list)
            }
            DeValue::Table(table) => Value::from(self.table(table, at)),
        }
    }
}

fn below(at: &[String], key: &str) -> Path {
    at.iter().cloned().chain([key.to_owned()]).collect()
}

/// The text with every secret's characters starred out, so that no snippet around another error can show it.
fn mask(text: &str, spans: &Spans) -> String {
    let secrets: Vec<_> = spans.iter().filter(|(path, _)| is_hidden(path)).map(|(_, (_, value))| value).collect();
    let hidden = |at: usize| secrets.iter().any(|span| span.contains(&at));
    text.char_indices()
        .map(|(at, c)| match c {
            '"' | '\'' | '\n' | '\r' => c.to_string(),
            c if hidden(at) => "*".repeat(c.len_utf8()),
            c => c.to_string(),
        })
        .collect()
}
