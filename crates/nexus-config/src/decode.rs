//! From merged values to types, without stopping at the first error: each one is noted, the value it names is cut out
//! so that its default stands in, and decoding begins again.

use std::collections::BTreeSet;

use figment::error::{Actual, Error, Kind};
use figment::value::Value;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::errors::ConfigError;
use crate::explain::{self, Fault};
use crate::layer::{Layers, Path, Spot};

pub(crate) struct Decoder<'a> {
    layers: &'a Layers,
    pub(crate) errors: Vec<ConfigError>,
    /// Keys that were cut out: that they are missing then is no second error.
    cut: BTreeSet<Path>,
    /// Elements cut from lists, by their own path: those behind have moved up.
    cut_elements: BTreeSet<Path>,
    /// Texts of variables and flags that have been read as a number, a list ... already.
    reread: BTreeSet<Path>,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(layers: &'a Layers) -> Self {
        let (cut, cut_elements, reread) = Default::default();
        Self { layers, errors: Vec::new(), cut, cut_elements, reread }
    }

    /// Decodes what stands at `base`; `None` only when not even its defaults are enough.
    pub(crate) fn decode<T: DeserializeOwned + Serialize>(&mut self, tree: &mut Value, base: &[String]) -> Option<T> {
        loop {
            let fault = match T::deserialize(&*tree) {
                Ok(value) => match number_for_name(tree, &value) {
                    None => return Some(value),
                    Some(fault) => fault,
                },
                Err(fault) => fault,
            };
            let here = fault.path.clone();
            let path = self.written(base, &here);
            if self.reread(tree, &here, &path) {
                continue;
            }
            self.note(fault.kind, &path);
            if here.is_empty() {
                return None;
            }
            cut(tree, &here);
            self.cut.insert(path.clone());
            if here.last().is_some_and(|last| last.parse::<usize>().is_ok()) {
                self.cut_elements.insert(path);
            }
        }
    }

    /// Variables and flags are text. It stays text where text is wanted (a password of digits), and is read as
    /// figment's environment syntax (`5`, `true`, `[a, b]`) only where that was refused.
    fn reread(&mut self, tree: &mut Value, here: &[String], path: &Path) -> bool {
        let from_text = self.layers.find(path).is_some_and(|(layer, _)| layer.is_text);
        let Some(Value::String(_, text)) = descend(tree, here).map(|value| &*value) else { return false };
        if !from_text || !self.reread.insert(path.clone()) {
            return false;
        }
        let Ok(value) = text.parse::<Value>();
        if matches!(value, Value::String(..)) {
            return false;
        }
        if let Some(slot) = descend(tree, here) {
            *slot = value;
        }
        true
    }

    fn note(&mut self, kind: Kind, path: &Path) {
        let missing = match &kind {
            Kind::MissingField(name) => path.iter().cloned().chain([name.to_string()]).collect(),
            _ => path.clone(),
        };
        if self.cut.contains(&missing) {
            return;
        }
        let Fault { message, help, on_value } = explain::fault(kind, path);
        let error = ConfigError::new(message).with_help(help).with_key(&missing);
        self.errors.push(self.place(error, path, on_value));
    }

    /// Where a key was set that holds.
    pub(crate) fn find(&self, path: &[String]) -> Option<Spot> {
        self.layers.find(path).map(|(_, spot)| spot.clone())
    }

    pub(crate) fn place(&self, error: ConfigError, path: &[String], on_value: bool) -> ConfigError {
        match self.layers.locate(path) {
            Some((spot, exact)) => error.at_spot(spot, on_value && exact),
            None => error,
        }
    }

    /// The path as it was written: elements behind one that was cut out are counted as before.
    pub(crate) fn written(&self, base: &[String], here: &[String]) -> Path {
        let mut path: Path = base.to_vec();
        for segment in here {
            let mut segment = segment.clone();
            if let Ok(mut index) = segment.parse::<usize>() {
                for gone in 0.. {
                    let mut element = path.clone();
                    element.push(gone.to_string());
                    if gone > index {
                        break;
                    }
                    index += usize::from(self.cut_elements.contains(&element));
                }
                segment = index.to_string();
            }
            path.push(segment);
        }
        path
    }
}

fn descend<'v>(tree: &'v mut Value, path: &[String]) -> Option<&'v mut Value> {
    path.iter().try_fold(tree, |value, segment| match value {
        Value::Dict(_, dict) => dict.get_mut(segment),
        Value::Array(_, items) => segment.parse::<usize>().ok().and_then(|index| items.get_mut(index)),
        _ => None,
    })
}

fn cut(tree: &mut Value, path: &[String]) {
    let Some((last, table)) = path.split_last() else { return };
    match descend(tree, table) {
        Some(Value::Dict(_, dict)) => {
            dict.remove(last);
        }
        Some(Value::Array(_, items)) => {
            if let Some(index) = last.parse().ok().filter(|index: &usize| *index < items.len()) {
                items.remove(index);
            }
        }
        _ => {}
    }
}

/// figment takes a number for an enum's variant of that index: `sync = 1` would mean "always". It shows when what was
/// decoded is a name again.
fn number_for_name(tree: &Value, decoded: &impl Serialize) -> Option<Error> {
    fn find(tree: &Value, decoded: &Value, path: &mut Path) -> Option<Actual> {
        match (tree, decoded) {
            (Value::Num(..), Value::String(..)) => Some(tree.to_actual()),
            (Value::Dict(_, written), Value::Dict(_, decoded)) => written.iter().find_map(|(key, value)| {
                let decoded = decoded.get(key)?;
                path.push(key.clone());
                let found = find(value, decoded, path);
                if found.is_none() {
                    path.pop();
                }
                found
            }),
            _ => None,
        }
    }
    let mut path = Path::new();
    let actual = find(tree, &Value::serialize(decoded).ok()?, &mut path)?;
    let mut error = Error::from(Kind::InvalidType(actual, "a string".to_owned()));
    error.path = path;
    Some(error)
}

/// The value that was found, in TOML's words.
pub(crate) fn found(actual: &Actual) -> String {
    match actual {
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(number) => number.to_string(),
        Actual::Signed(number) => number.to_string(),
        Actual::Float(number) => number.to_string(),
        Actual::Char(text) => format!("\"{text}\""),
        Actual::Str(text) => format!("\"{text}\""),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}
