//! One layer of configuration: its values, and where each of them was written.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

/// Keys from the root of the whole configuration: `["departments", "qa", "workers"]`; a list's elements by number.
pub(crate) type Path = Vec<String>;

/// Where a key stands: the variable or flag that set it, or a file and two spans in its text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Spot {
    Builtin,
    Named(String),
    File { file: Arc<File>, key: Range<usize>, value: Range<usize> },
}

/// A file's text, for line numbers and snippets; its secrets are masked, byte for byte.
#[derive(Debug, PartialEq)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) text: String,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    pub(crate) values: Dict,
    pub(crate) spots: BTreeMap<Path, Spot>,
    /// Values are text, as variables and flags give it: it becomes a number or a list only where one is wanted.
    pub(crate) is_text: bool,
}

impl Layer {
    /// Sets a dotted key to a text, as a variable or a flag does.
    pub(crate) fn set(&mut self, path: &[String], text: &str, spot: &Spot) {
        for end in 1..=path.len() {
            self.spots.insert(path[..end].to_vec(), spot.clone());
        }
        put(&mut self.values, path, Value::from(text));
    }
}

pub(crate) fn put(dict: &mut Dict, path: &[String], value: Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        dict.insert(first.clone(), value);
        return;
    }
    let below = dict.entry(first.clone()).or_insert_with(|| Value::from(Dict::new()));
    if !matches!(below, Value::Dict(..)) {
        *below = Value::from(Dict::new());
    }
    if let Value::Dict(_, below) = below {
        put(below, rest, value);
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named("nexus")
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// All layers, the weakest first.
#[derive(Debug, Default)]
pub(crate) struct Layers(pub(crate) Vec<Layer>);

impl Layers {
    /// The values that hold: tables are merged key by key, anything else is replaced by a stronger layer's.
    pub(crate) fn merged(&self) -> Result<Dict, Box<figment::Error>> {
        let figment = self.0.iter().fold(Figment::new(), |figment, layer| figment.merge(layer));
        figment.extract().map_err(Box::new)
    }

    /// The strongest layer that sets this very key.
    pub(crate) fn find(&self, path: &[String]) -> Option<(&Layer, &Spot)> {
        self.0.iter().rev().find_map(|layer| layer.spots.get(path).map(|spot| (layer, spot)))
    }

    /// Where to point for a key: itself, else the nearest table around it. The flag says that it is the key itself.
    pub(crate) fn locate(&self, path: &[String]) -> Option<(&Spot, bool)> {
        let ends = (1..=path.len()).rev();
        ends.filter_map(|end| self.find(&path[..end]).map(|(_, spot)| (spot, end == path.len()))).next()
    }

    /// Names directly under a table, in any layer: what has been declared, well or badly.
    pub(crate) fn names_under(&self, table: &str) -> Vec<String> {
        let paths = self.0.iter().flat_map(|layer| layer.spots.keys());
        let mut names: Vec<_> =
            paths.filter(|path| path.len() == 2 && path[0] == table).map(|p| p[1].clone()).collect();
        names.sort();
        names.dedup();
        names
    }
}
