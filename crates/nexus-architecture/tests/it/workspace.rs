//! Reads the workspace: its crates with their dependencies, and its Rust files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::Table;

/// A crate of the workspace.
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) manifest: Table,
    /// Needed to build it.
    pub(crate) builds_with: BTreeSet<String>,
    /// Needed by its tests alone.
    pub(crate) tests_with: BTreeSet<String>,
}

/// A Rust file of the workspace, with its path from the root (`/` between the parts).
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/<name> has a root").to_owned()
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn toml(path: &Path) -> Table {
    read(path).parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every crate, by name.
pub(crate) fn crates() -> Vec<Crate> {
    let mut crates: Vec<_> = entries(&root().join("crates")).into_iter().map(load).collect();
    crates.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(crates.len() > 10, "found only {} crates: is the test looking in the right place?", crates.len());
    crates
}

/// Every Rust file of every crate.
pub(crate) fn files() -> Vec<File> {
    let mut found = Vec::new();
    walk(&root().join("crates"), &mut found);
    assert!(found.len() > 20, "found only {} Rust files: is the test looking in the right place?", found.len());
    found
}

fn load(dir: PathBuf) -> Crate {
    let manifest = toml(&dir.join("Cargo.toml"));
    let name = manifest["package"]["name"].as_str().expect("a name is a string").to_owned();
    let mut builds_with = names(&manifest, "dependencies");
    builds_with.extend(names(&manifest, "build-dependencies"));
    let mut tests_with = names(&manifest, "dev-dependencies");
    for platform in manifest.get("target").and_then(|t| t.as_table()).into_iter().flat_map(Table::values) {
        let platform = platform.as_table().expect("a target is a table");
        builds_with.extend(names(platform, "dependencies"));
        builds_with.extend(names(platform, "build-dependencies"));
        tests_with.extend(names(platform, "dev-dependencies"));
    }
    Crate { name, dir, manifest, builds_with, tests_with }
}

fn names(table: &Table, key: &str) -> BTreeSet<String> {
    let dependencies = table.get(key).and_then(|value| value.as_table());
    dependencies.into_iter().flat_map(Table::keys).cloned().collect()
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let listing = std::fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<_> = listing.map(|entry| entry.expect("a readable directory").path()).collect();
    paths.sort();
    paths
}

fn walk(dir: &Path, found: &mut Vec<File>) {
    for path in entries(dir) {
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let inside = path.strip_prefix(root()).expect("a path under the root");
            let parts: Vec<_> = inside.components().map(|part| part.as_os_str().to_string_lossy()).collect();
            found.push(File { path: parts.join("/"), text: read(&path) });
        }
    }
}

/// Fails with all of the findings at once.
pub(crate) fn report(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}\n  - {}\n", findings.join("\n  - "));
}
