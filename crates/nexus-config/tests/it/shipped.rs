//! The files that the repository ships: the built-in company is they, and the schemas are those of the types.

use std::path::{Path, PathBuf};

use nexus_config::{Source, load, schemas};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_built_in_company_is_the_shipped_one() {
    let shipped = load(&Source { dir: Some(repository()), ..Source::default() }).unwrap();
    let built_in = load(&Source::default()).unwrap();
    assert_eq!(shipped, built_in);
    let sizes: Vec<_> = built_in.company.departments.iter().map(|(name, d)| (name.as_str(), d.workers)).collect();
    assert_eq!(sizes, [("engineering", 3), ("product", 1), ("qa", 2)]);
    for department in built_in.company.departments.values() {
        let limits = &department.limits;
        assert_eq!((limits.memory.map(|size| size.bytes()), limits.processes), (Some(2 << 30), Some(512)));
    }
    assert_eq!(built_in.company.default_department.as_str(), "engineering");
}

/// `UPDATE_SCHEMA=1` writes them.
#[test]
fn the_schemas_are_those_of_the_types() {
    for (name, schema) in schemas() {
        let path = repository().join("docs/schema").join(name);
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let checked_in = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
        assert!(checked_in == text, "{name} differs: run this test with UPDATE_SCHEMA=1");
    }
}

/// Commented-out lines of `nexus.toml` say that they show the defaults.
#[test]
fn what_the_shipped_file_calls_a_default_is_one() {
    let text = std::fs::read_to_string(repository().join("nexus.toml")).unwrap();
    let dir = crate::dir::Dir::new(&[]);
    let defaults = [
        "name ",
        "default_department ",
        "retention ",
        "shutdown_grace ",
        "[restart]",
        "max_restarts ",
        "within ",
        "[delegation]",
        "max_depth ",
        "max_children ",
        "max_tree ",
        "[bus]",
        "sync ",
        "[web]",
        "listen ",
    ];
    let lines = text.lines().filter_map(|line| line.strip_prefix("# "));
    let kept: Vec<_> = lines.filter(|line| defaults.iter().any(|key| line.starts_with(key))).collect();
    assert_eq!(kept.len(), defaults.len());
    dir.write("nexus.toml", &kept.join("\n"));
    assert_eq!(load(&dir.source()).unwrap(), load(&Source::default()).unwrap());
}
