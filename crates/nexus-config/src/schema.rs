//! The JSON schemas of the files, generated from the types that read them; `docs/schema/` holds them for editors.

use nexus_core::department::Department;
use schemars::schema_for;

use crate::settings::CompanyFile;

/// File names within `docs/schema/`, and what belongs in them.
#[must_use]
pub fn schemas() -> Vec<(&'static str, serde_json::Value)> {
    vec![("nexus.json", schema_for!(CompanyFile).to_value()), ("department.json", schema_for!(Department).to_value())]
}
