//! Roles of departments: read from their files, and looked through for what can't be filled in.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nexus_core::department::Department;
use nexus_core::id::DepartmentName;
use nexus_core::role::{self, Fault, MAX_ROLE};

use crate::builtin;
use crate::decode::Decoder;
use crate::errors::ConfigError;
use crate::layer::{File, Spot};
use crate::source;

/// The state of the roles, beside their texts.
#[derive(Default)]
pub(crate) struct Roles {
    /// Those that were read.
    pub(crate) files: Vec<PathBuf>,
    /// Dotted key -> the file that its text came from.
    pub(crate) origins: BTreeMap<String, String>,
    pub(crate) errors: Vec<ConfigError>,
}

/// Puts the text of each `role_file` into its department's `role`.
pub(crate) fn read(
    departments: &mut BTreeMap<DepartmentName, Department>,
    decoder: &Decoder<'_>,
    dir: Option<&Path>,
) -> Roles {
    let mut roles = Roles::default();
    for (name, department) in departments {
        let at = |key: &str| ["departments".to_owned(), name.to_string(), key.to_owned()];
        let refuse = |key: &str, message: String, help: Option<String>| {
            decoder.place(ConfigError::new(message).with_help(help).with_key(&at(key)), &at(key), true)
        };
        let Some(path) = &department.role_file else {
            let wrong = department.role.as_deref().and_then(wrong);
            roles.errors.extend(wrong.map(|Fault { line, message, help }| {
                let message = if line > 1 { format!("line {line} of the role: {message}") } else { message };
                refuse("role", message, help)
            }));
            continue;
        };
        if department.role.is_some() {
            let help = "leave one of the two out".to_owned();
            roles.errors.push(refuse("role_file", "there is a `role` already".to_owned(), Some(help)));
            continue;
        }
        let spot = decoder.find(&at("role_file"));
        let text = match text(path, spot.as_ref(), dir) {
            Ok((text, file)) => {
                roles.files.extend(file);
                text
            }
            Err(message) => {
                let help = "the path is relative to the directory of nexus.toml".to_owned();
                roles.errors.push(refuse("role_file", format!("`{}` {message}", path.display()), Some(help)));
                continue;
            }
        };
        if let Some(Fault { line, message, help }) = wrong(&text) {
            let span = line_of(&text, line);
            let file = Arc::new(File { name: path.display().to_string(), text });
            roles.errors.push(ConfigError::new(message).with_help(help).in_file(&file, span));
            continue;
        }
        roles.origins.insert(at("role").join("."), path.display().to_string());
        department.role = Some(text);
    }
    roles
}

fn wrong(role: &str) -> Option<Fault> {
    if role.len() > MAX_ROLE {
        let message = format!("the role has {} bytes; at most {MAX_ROLE} are accepted", role.len());
        let help = "it comes before every task: put the rest into a file of the project".to_owned();
        return Some(Fault { line: 1, message, help: Some(help) });
    }
    role::check(role).err()
}

/// A file's text, and where it is unless it is built in.
fn text(path: &Path, spot: Option<&Spot>, dir: Option<&Path>) -> Result<(String, Option<PathBuf>), String> {
    let path = match spot {
        Some(Spot::File { file, .. }) if file.name.starts_with(builtin::MARK) => {
            let text = builtin::role(path).ok_or("is not built in")?;
            return Ok((text.to_owned(), None));
        }
        // That of a variable or a flag is relative to the current directory.
        Some(Spot::File { .. }) => dir.map_or_else(|| path.to_owned(), |dir| dir.join(path)),
        _ => path.to_owned(),
    };
    if !path.exists() {
        return Err("is not there".to_owned());
    }
    Ok((source::read(&path)?, Some(path)))
}

/// The bytes of a line, which is counted from 1.
fn line_of(text: &str, line: usize) -> Range<usize> {
    let mut start = 0;
    for (number, content) in (1..).zip(text.split_inclusive('\n')) {
        if number == line {
            return start..start + content.trim_end().len();
        }
        start += content.len();
    }
    0..0
}
