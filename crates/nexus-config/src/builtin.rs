//! The company that runs when nothing is configured: the very files that the repository ships.

use nexus_core::id::DepartmentName;

use crate::source::Found;

const MAIN: &str = include_str!("../../../nexus.toml");
const DEPARTMENTS: [(&str, &str); 3] = [
    ("engineering", include_str!("../../../departments/engineering.toml")),
    ("product", include_str!("../../../departments/product.toml")),
    ("qa", include_str!("../../../departments/qa.toml")),
];

pub(crate) fn all() -> Vec<Found> {
    let main = Found { name: "built-in nexus.toml".to_owned(), path: None, department: None, text: MAIN.to_owned() };
    std::iter::once(main).chain(departments()).collect()
}

pub(crate) fn departments() -> impl Iterator<Item = Found> {
    DEPARTMENTS.into_iter().filter_map(|(name, text)| {
        let department = DepartmentName::new(name).ok()?;
        Some(Found {
            name: format!("built-in departments/{name}.toml"),
            path: None,
            department: Some(department),
            text: text.to_owned(),
        })
    })
}
