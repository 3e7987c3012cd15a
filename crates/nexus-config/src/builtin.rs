//! The company that runs when nothing is configured: the very files that the repository ships.

use std::path::Path;

use nexus_core::agent::{AgentKind, AgentSpec};
use nexus_core::id::DepartmentName;

use crate::source::Found;

const MAIN: &str = include_str!("../../../nexus.toml");
const DEPARTMENTS: [(&str, &str); 3] = [
    ("engineering", include_str!("../../../departments/engineering.toml")),
    ("product", include_str!("../../../departments/product.toml")),
    ("qa", include_str!("../../../departments/qa.toml")),
];

const ROLES: [(&str, &str); 3] = [
    ("departments/roles/engineering.md", include_str!("../../../departments/roles/engineering.md")),
    ("departments/roles/product.md", include_str!("../../../departments/roles/product.md")),
    ("departments/roles/qa.md", include_str!("../../../departments/roles/qa.md")),
];

/// The agents that exist without being declared, by name.
pub(crate) fn agents() -> impl Iterator<Item = (&'static str, AgentSpec)> {
    let coding = AgentKind::ALL.into_iter().filter(|kind| !matches!(kind, AgentKind::Command | AgentKind::Acp));
    coding.map(|kind| (kind.as_str(), AgentSpec::of(kind))).chain([("shell", AgentSpec::shell())])
}

/// The beginning of the name of a file that isn't on the disk.
pub(crate) const MARK: &str = "built-in ";

pub(crate) fn all() -> Vec<Found> {
    let main = Found { name: format!("{MARK}nexus.toml"), path: None, department: None, text: MAIN.to_owned() };
    std::iter::once(main).chain(departments()).collect()
}

pub(crate) fn departments() -> impl Iterator<Item = Found> {
    DEPARTMENTS.into_iter().filter_map(|(name, text)| {
        let department = DepartmentName::new(name).ok()?;
        Some(Found {
            name: format!("{MARK}departments/{name}.toml"),
            path: None,
            department: Some(department),
            text: text.to_owned(),
        })
    })
}

/// The files of the built-in company, to be changed: each by its place below the directory of a configuration.
pub fn starter() -> impl Iterator<Item = (&'static str, String)> {
    let files = [
        ("nexus.toml", MAIN),
        ("departments/engineering.toml", DEPARTMENTS[0].1),
        ("departments/product.toml", DEPARTMENTS[1].1),
        ("departments/qa.toml", DEPARTMENTS[2].1),
    ];
    files.into_iter().chain(ROLES).map(|(name, text)| {
        // The schemas for editors lie in the repository alone.
        let lines = text.split_inclusive('\n').filter(|line| !line.starts_with("#:schema "));
        (name, lines.collect())
    })
}

/// The role that a built-in department names.
pub(crate) fn role(path: &Path) -> Option<&'static str> {
    ROLES.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| *text)
}
