//! The JSON schemas of the files, generated from the types that read them; `docs/schema/` holds them for editors.

use nexus_core::department::Department;
use nexus_core::schema::drop_number_formats;
use schemars::schema_for;

use crate::settings::CompanyFile;

/// File names within `docs/schema/`, and what belongs in them.
#[must_use]
pub fn schemas() -> Vec<(&'static str, serde_json::Value)> {
    let mut company = schema_for!(CompanyFile).to_value();
    // A built-in agent that is changed keeps its kind; that any other one needs it, the check says.
    if let Some(spec) = company.pointer_mut("/$defs/AgentSpec").and_then(serde_json::Value::as_object_mut) {
        spec.remove("required");
    }
    let mut department = schema_for!(Department).to_value();
    for schema in [&mut company, &mut department].into_iter().filter_map(serde_json::Value::as_object_mut) {
        drop_number_formats(schema);
    }
    vec![("nexus.json", company), ("department.json", department)]
}
