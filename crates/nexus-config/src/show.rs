//! The configuration that holds, as TOML, with where each value came from.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use nexus_core::agent::AgentSpec;
use nexus_core::id::AgentName;
use serde::Serialize;
use toml::{Table, Value};

use crate::load::Loaded;
use crate::settings::CompanyFile;

/// The effective configuration, file by file as one would write it; each value says its origin in a comment, and secrets
/// are masked.
#[must_use]
pub fn show(loaded: &Loaded) -> String {
    let company = &loaded.company;
    let settings = loaded.settings.clone();
    // Of the built-in agents, those that somebody uses or has changed.
    let matters = |name: &AgentName| {
        let table = format!("agents.{name}");
        let is_changed = loaded.origins.get(&table).is_none_or(|origin| origin != "built-in");
        is_changed || company.departments.values().any(|department| department.agents.contains(name))
    };
    let own = |(name, spec): (&AgentName, &Arc<AgentSpec>)| (name.clone(), spec.as_ref().clone());
    let file = CompanyFile {
        name: company.name.clone(),
        default_department: Some(company.default_department.clone()),
        retention: company.retention,
        shutdown_grace: company.shutdown_grace,
        restart: company.restart,
        budget: company.budget,
        delegation: company.delegation,
        agents: company.agents.iter().filter(|(name, _)| matters(name)).map(own).collect(),
        nats: settings.nats,
        bus: settings.bus,
        broker: settings.broker,
        history: settings.history,
        web: settings.web,
        apply: settings.apply,
        workspaces: settings.workspaces,
    };
    let mut out = String::from("# nexus.toml\n");
    let mut printer = Printer { origins: &loaded.origins, out: &mut out };
    let mut table = table_of(&file);
    if let Some(Value::Table(agents)) = table.get_mut("agents") {
        // What an agent doesn't have is not worth a line, as there are many of them.
        let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
        agents.iter_mut().filter_map(|(_, agent)| agent.as_table_mut()).for_each(|agent| {
            agent.retain(|_, value| !is_empty(value));
        });
    }
    printer.table(&table, "", "");
    for (name, department) in &company.departments {
        let _ = writeln!(printer.out, "\n# departments/{name}.toml");
        let mut table = table_of(department.as_ref());
        // The text itself is shown, with the file as its origin: the two don't stand together.
        table.remove("role_file");
        printer.table(&table, "", &format!("departments.{name}"));
    }
    out
}

fn table_of(value: &impl Serialize) -> Table {
    Table::try_from(value).unwrap_or_default()
}

struct Printer<'a> {
    origins: &'a BTreeMap<String, String>,
    out: &'a mut String,
}

impl Printer<'_> {
    /// `header` is the table's name in its own file, `path` from the root of everything.
    fn table(&mut self, table: &Table, header: &str, path: &str) {
        let (tables, values): (Vec<_>, Vec<_>) = table.iter().partition(|(_, value)| value.is_table());
        if !header.is_empty() && !values.is_empty() {
            let _ = writeln!(self.out, "\n[{header}]");
        }
        for (key, value) in values {
            let origin = self.origins.get(&join(path, key)).map_or("default", String::as_str);
            let _ = writeln!(self.out, "{} = {value}  # {origin}", quoted(key));
        }
        for (key, value) in tables {
            if let Value::Table(below) = value {
                self.table(below, &join(header, &quoted(key)), &join(path, key));
            }
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn quoted(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if bare { key.to_owned() } else { Value::String(key.to_owned()).to_string() }
}
