//! The common part of every Cargo.toml and clippy.toml.

use std::path::Path;

use toml::{Table, Value};

use crate::workspace::{crates, report, root, toml};

/// Keys that a crate takes from the workspace.
const INHERITED: &[&str] = &["version", "edition", "rust-version", "license", "publish"];

/// The crates that may relax a lint of the workspace, and which: system calls for a child need `unsafe`.
const RELAXED: &[(&str, &str, &str)] =
    &[("nexus-process", "unsafe_code", "deny"), ("nexus-warden", "unsafe_code", "deny")];

/// Bans that a crate's own clippy.toml leaves out.
const LIFTED: &[(&str, &[&str])] = &[
    ("nexus-process", &["std::process::Command", "tokio::process::Command", "std::thread::sleep"]),
    ("nexus-warden", &["std::process::Command", "tokio::process::Command", "std::thread::sleep"]),
];

#[test]
fn packages_inherit() {
    let mut findings = Vec::new();
    for krate in crates() {
        let package = krate.manifest["package"].as_table().expect("[package] is a table");
        for key in INHERITED.iter().filter(|key| !from_workspace(package.get(**key))) {
            findings.push(format!("{}: write `{key}.workspace = true`", krate.name));
        }
        let platforms = krate.manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
        let tables = platforms.filter_map(Value::as_table).chain([&krate.manifest]);
        let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
        let dependencies =
            tables.flat_map(|table| sections.iter().filter_map(|section| table.get(*section)?.as_table()));
        for (name, _) in dependencies.flatten().filter(|(_, value)| !from_workspace(Some(value))) {
            findings.push(format!("{}: give {name}'s version in the workspace's Cargo.toml", krate.name));
        }
    }
    report("versions stand in one place:", &findings);
}

#[test]
fn lints_are_the_workspace_s() {
    let workspace = toml(&root().join("Cargo.toml"));
    let ours = &workspace["workspace"]["lints"];
    let relaxed = |(_, lint, level): &(&str, &str, &str)| {
        let mut lints = ours.clone();
        lints["rust"][*lint] = (*level).into();
        lints
    };
    let mut findings = Vec::new();
    for krate in crates() {
        let lints = krate.manifest.get("lints");
        let inherits = lints.is_some_and(|lints| lints.get("workspace") == Some(&Value::Boolean(true)));
        let relaxes = RELAXED.iter().any(|row| krate.name == row.0 && lints == Some(&relaxed(row)));
        if !inherits && !relaxes {
            findings.push(format!("{}: write `[lints] workspace = true`", krate.name));
        }
    }
    report("lints are set once, for all:", &findings);
}

/// The nearest clippy.toml wins and nothing is inherited, so a crate's own must not forget a ban.
#[test]
fn bans_are_repeated() {
    let ours = bans(&root());
    let mut findings = Vec::new();
    for krate in crates().iter().filter(|krate| krate.dir.join("clippy.toml").exists()) {
        let own = bans(&krate.dir);
        let lifted = LIFTED.iter().filter(|(name, _)| *name == krate.name).flat_map(|(_, paths)| paths.iter());
        let lifted: Vec<_> = lifted.copied().collect();
        for ban in ours.iter().filter(|ban| !own.contains(ban) && !lifted.contains(&ban.as_str())) {
            findings.push(format!("crates/{}/clippy.toml: ban {ban} as the workspace does", krate.name));
        }
    }
    report("a crate's own clippy.toml repeats the workspace's bans:", &findings);
}

/// Each test binary links everything again, which on two cores is most of a build.
#[test]
fn one_test_binary_per_crate() {
    let mut findings = Vec::new();
    for krate in crates().iter().filter(|krate| krate.dir.join("tests").exists()) {
        let listing = std::fs::read_dir(krate.dir.join("tests")).expect("a readable directory");
        let names = listing.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        findings.extend(
            names
                .filter(|name| name.ends_with(".rs"))
                .map(|name| format!("crates/{}/tests/{name}: make it a module of tests/it/main.rs", krate.name)),
        );
    }
    report("a crate has one integration test binary, tests/it:", &findings);
}

fn from_workspace(value: Option<&Value>) -> bool {
    value.and_then(|value| value.get("workspace")) == Some(&Value::Boolean(true))
}

fn bans(dir: &Path) -> Vec<String> {
    let config: Table = toml(&dir.join("clippy.toml"));
    let lists = ["disallowed-types", "disallowed-methods"].into_iter().filter_map(|key| config.get(key)?.as_array());
    lists.flatten().map(|ban| ban["path"].as_str().expect("a path is a string").to_owned()).collect()
}
