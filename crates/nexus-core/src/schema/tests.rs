//! The files in `docs/schema/` are the types', and bounds that the types hold are in them.

use std::path::Path;

use super::all;

/// `UPDATE_SCHEMA=1` writes them.
#[test]
fn the_files_are_those_of_the_types() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema");
    for (name, schema) in all() {
        let path = dir.join(format!("{name}.json"));
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let checked_in = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
        assert!(checked_in == text, "{name}.json differs: run this test with UPDATE_SCHEMA=1");
    }
}

#[test]
fn bounds_of_the_types_are_said() {
    let schemas = all();
    let schema = |wanted: &str| &schemas.iter().find(|(name, _)| *name == wanted).unwrap().1;
    for name in ["submission", "queue_entry", "ceo_status_reply"] {
        let priority = &schema(name)["$defs"]["Priority"];
        assert_eq!((&priority["minimum"], &priority["maximum"]), (&0.into(), &9.into()), "{name}");
    }
    assert_eq!(schema("event")["$defs"]["WorkerName"]["pattern"], "^[a-z0-9][a-z0-9_-]{0,63}$");
    assert_eq!(schema("submission")["required"], serde_json::json!(["description"]));
    assert_eq!(schema("submission")["additionalProperties"], false);
    // A reader may rely on what is always written.
    let required = schema("log_chunk")["required"].as_array().unwrap();
    assert_eq!(required.len(), 6, "{required:?}");
}

#[test]
fn a_number_has_bounds_and_no_format() {
    for (name, schema) in all() {
        let text = schema.to_string();
        for format in ["int", "float", "double"] {
            assert!(!text.contains(&format!("\"format\":\"{format}")), "{name}: {format}");
        }
        assert!(!text.contains("\"format\":\"uint"), "{name}");
    }
    let mut schema = serde_json::json!({
        "properties": { "format": { "type": "integer", "format": "uint8", "minimum": 0 } },
        "anyOf": [{ "type": "number", "format": "double" }, { "type": "string", "format": "uuid" }],
    });
    super::drop_number_formats(schema.as_object_mut().unwrap());
    let expected = serde_json::json!({
        "properties": { "format": { "type": "integer", "minimum": 0 } },
        "anyOf": [{ "type": "number" }, { "type": "string", "format": "uuid" }],
    });
    assert_eq!(schema, expected);
}
