//! `NEXUS_*` variables and the caller's flags, as layers.

use schemars::JsonSchema as _;

use crate::errors::ConfigError;
use crate::explain::unknown;
use crate::layer::{Layer, Path, Spot};
use crate::settings::CompanyFile;
use crate::source::Override;

/// Variables with our prefix that are not configuration: the command line's own, and what agents are given.
const NOT_CONFIGURATION: [&str; 14] = [
    "AGENT",
    "ATTEMPT",
    "CONFIG",
    "CONTEXT",
    "DATA_DIR",
    "DEPARTMENT",
    "LOG",
    "PROJECT",
    "PROMPT_FILE",
    "TASK_ID",
    "TASK_TYPE",
    "TRIGGER",
    "WORKER",
    "WORKSPACE",
];

/// `NEXUS_HISTORY__URL` is `history.url`. Another product of this name uses the prefix too (`NEXUS_USERNAME` ...), so a
/// variable without `__` that resembles no key is left alone; everything else unknown is an error like in a file.
pub(crate) fn from_variables(variables: &[(String, String)]) -> (Layer, Vec<ConfigError>) {
    let (mut layer, mut errors) = (Layer { is_text: true, ..Layer::default() }, Vec::new());
    let mut variables: Vec<_> = variables.iter().collect();
    variables.sort();
    for (name, text) in variables {
        let Some(rest) = name.strip_prefix("NEXUS_").filter(|rest| !NOT_CONFIGURATION.contains(rest)) else { continue };
        let path = path_of(rest);
        let known = top_keys();
        if let [single] = &path[..]
            && !known.contains(single)
        {
            match known.iter().find(|key| is_slip(single, key)) {
                Some(key) => errors.push(mistyped(name, key)),
                None => tracing::debug!(variable = name, "not a configuration variable"),
            }
            continue;
        }
        layer.set(&path, text, &Spot::Named(name.clone()));
    }
    (layer, errors)
}

/// The caller's flags, the strongest layer.
pub(crate) fn from_overrides(overrides: &[Override]) -> Layer {
    let mut layer = Layer { is_text: true, ..Layer::default() };
    for given in overrides {
        let path: Path = given.key.split('.').map(str::to_owned).collect();
        layer.set(&path, &given.value, &Spot::Named(given.flag.clone()));
    }
    layer
}

fn path_of(rest: &str) -> Path {
    let written: Vec<&str> = rest.split("__").collect();
    let mut path: Path = written.iter().map(|segment| segment.to_ascii_lowercase()).collect();
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    // The names of an agent's own variables keep their case.
    let variable = matches!(names[..], ["agents", _, "env", _] | ["departments", _, "environment", "set", _]);
    if let (true, Some(last), Some(name)) = (variable, path.last_mut(), written.last()) {
        *last = (*name).to_owned();
    }
    path
}

fn top_keys() -> Vec<String> {
    let schema = CompanyFile::json_schema(&mut schemars::SchemaGenerator::default());
    let properties = schema.get("properties").and_then(serde_json::Value::as_object);
    properties.into_iter().flat_map(|keys| keys.keys().cloned()).chain(["departments".to_owned()]).collect()
}

/// One slip of the finger in three letters at most: stricter than in a file, for strangers' variables live here too.
fn is_slip(given: &str, key: &str) -> bool {
    strsim::damerau_levenshtein(given, key) * 3 <= key.len()
}

fn mistyped(name: &str, key: &str) -> ConfigError {
    let right = format!("NEXUS_{}", key.to_ascii_uppercase());
    let (message, help) = unknown(&format!("unknown variable `{name}`"), name, &[&right], '`');
    ConfigError::new(message).with_help(help).at_spot(&Spot::Named(name.to_owned()), false)
}
