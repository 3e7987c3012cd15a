//! `docs/reference/configuration.md`: every key, as the types that read the files describe it.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value};

const INTRO: &str = "# Configuration

<!-- Written by the test `the_reference_is_that_of_the_types` of nexus-config with UPDATE_SCHEMA=1: change the types. -->

Every key of `nexus.toml` and of `departments/*.toml`. `nexus init` writes a starter for both, `nexus config check` checks them,
and `nexus config show` prints what holds and where each value comes from.

The order is: defaults, `nexus.toml`, `departments/*.toml`, variables, options of the command line; the later one wins. A
variable is named after its key, with `NEXUS_` before it and `__` between its levels: `NEXUS_WEB__LISTEN=127.0.0.1:9000`. A
running company takes up a changed file by itself; `[nats]`, `[bus]`, `[broker]`, `[history]`, `[web]` and `[workspaces]` need a
restart.

Types: a *time* is `\"500ms\"`, `\"90s\"`, `\"1h 30m\"` or `\"30d\"`; a *size* is `\"512KiB\"`, `\"64MiB\"` or `\"2GiB\"`; a *name* has small
letters, digits, `_` and `-`. Where there is no default, the key may be left out, and nothing is limited or set.
";

/// `UPDATE_SCHEMA=1` writes it.
#[test]
fn the_reference_is_that_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/configuration.md");
    let text = page();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(checked_in == text, "docs/reference/configuration.md differs: run this test with UPDATE_SCHEMA=1");
}

fn page() -> String {
    let mut page = INTRO.to_owned();
    for (name, schema) in nexus_config::schemas() {
        let (title, about) = match name {
            "nexus.json" => ("nexus.toml", "What holds for the whole company."),
            _ => ("departments/NAME.toml", "One file for each department; the file's name is the department's."),
        };
        write!(page, "\n## {title}\n\n{about}\n").unwrap();
        let defs = schema["$defs"].as_object().unwrap();
        Sections { defs, page: &mut page }.section("", &schema);
    }
    page
}

struct Sections<'a> {
    defs: &'a Map<String, Value>,
    page: &'a mut String,
}

impl Sections<'_> {
    /// A table of the keys, and then a section for each of them that is a table itself.
    fn section(&mut self, path: &str, schema: &Value) {
        let (mut rows, mut deeper) = (String::new(), Vec::new());
        let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (key, property) in schema["properties"].as_object().unwrap() {
            let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            if let Some(found) = self.table(&at, property) {
                deeper.push(found);
                continue;
            }
            let meaning = self.meaning(property);
            assert!(!meaning.is_empty(), "{at} has no description: write a doc comment for it");
            let default = match property.get("default") {
                _ if required.contains(&key.as_str()) => "required".to_owned(),
                None | Some(Value::Null) => String::new(),
                Some(value) => format!("`{value}`"),
            };
            writeln!(rows, "| `{key}` | {} | {default} | {meaning} |", self.kind(property)).unwrap();
        }
        if !rows.is_empty() {
            write!(self.page, "\n| key | type | default | |\n|---|---|---|---|\n{rows}").unwrap();
        }
        for (title, at, about, table) in deeper {
            write!(self.page, "\n### `{title}`\n\n{about}\n").unwrap();
            self.section(&at, &table);
        }
    }

    /// A key whose value is a table with keys of its own: its heading, its path, what it is, and its schema.
    fn table(&self, at: &str, property: &Value) -> Option<(String, String, String, Value)> {
        let about = |table: &Value| line(property.get("description").or_else(|| table.get("description")));
        if let Some(table) = self.object(property) {
            return Some((format!("[{at}]"), at.to_owned(), about(&table), table));
        }
        if let Some(table) = self.object(&property["items"]) {
            return Some((format!("[[{at}]]"), at.to_owned(), about(&table), table));
        }
        let one = property["patternProperties"].as_object().and_then(|all| all.values().next());
        let one = one.or_else(|| property.get("additionalProperties"))?;
        let table = self.object(one)?;
        let at = format!("{at}.NAME");
        Some((format!("[{at}]"), at, about(&table), table))
    }

    fn object(&self, property: &Value) -> Option<Value> {
        let choices = property["anyOf"].as_array();
        let found = self.resolved(choices.map_or(property, |choices| &choices[0]));
        found.get("properties").is_some().then(|| found.clone())
    }

    fn resolved<'v>(&'v self, property: &'v Value) -> &'v Value {
        let name = property["$ref"].as_str().and_then(|path| path.rsplit('/').next());
        name.map_or(property, |name| &self.defs[name])
    }

    /// Its description, and that of each of the words that it may be.
    fn meaning(&self, property: &Value) -> String {
        let (own, found) = (line(property.get("description")), self.resolved(property));
        let mut meaning = if own.is_empty() { line(found.get("description")) } else { own };
        let choices = property["anyOf"].as_array().map_or(found, |choices| self.resolved(&choices[0]));
        for choice in choices["oneOf"].as_array().into_iter().flatten() {
            if let (Some(word), about) = (choice["const"].as_str(), line(choice.get("description")))
                && !about.is_empty()
            {
                write!(meaning, "<br>`\"{word}\"`: {about}").unwrap();
            }
        }
        meaning
    }

    fn kind(&self, property: &Value) -> String {
        match property["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            Some("Span") => return "time".to_owned(),
            Some("Size") => return "size".to_owned(),
            Some("Usd") => return "US dollars".to_owned(),
            Some("AgentName" | "DepartmentName") => return "name".to_owned(),
            _ => {}
        }
        let found = self.resolved(property);
        for all in ["anyOf", "oneOf"] {
            if let Some(choices) = found[all].as_array() {
                let mut kinds: Vec<_> = choices.iter().map(|choice| self.kind(choice)).collect();
                kinds.retain(|kind| !kind.is_empty());
                return kinds.join(" or ");
            }
        }
        if let Some(word) = found["const"].as_str() {
            return format!("`\"{word}\"`");
        }
        if let Some(words) = found["enum"].as_array() {
            return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
        }
        if let Some(keys) = found["properties"].as_object() {
            let keys: Vec<_> = keys.iter().map(|(key, property)| format!("{key} = {}", self.kind(property))).collect();
            return format!("{{ {} }}", keys.join(", "));
        }
        let kind = match &found["type"] {
            Value::Array(kinds) => kinds.iter().find_map(|kind| kind.as_str().filter(|kind| *kind != "null")),
            kind => kind.as_str(),
        };
        match kind.unwrap_or_default() {
            "string" => "text".to_owned(),
            "boolean" => "`true` or `false`".to_owned(),
            "integer" | "number" => range(found),
            "array" => format!("list of {}", self.kind(&found["items"])),
            "object" => format!("table of {}", self.kind(&found["additionalProperties"])),
            _ => String::new(),
        }
    }
}

fn range(number: &Value) -> String {
    match (number.get("minimum"), number.get("maximum")) {
        (Some(least), Some(most)) => format!("number, {least} to {most}"),
        (Some(least), None) if *least != 0 => format!("number, {least} or more"),
        _ => "number".to_owned(),
    }
}

/// A description on one line of a table.
fn line(text: Option<&Value>) -> String {
    text.and_then(Value::as_str).unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}
