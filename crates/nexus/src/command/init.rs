//! `nexus init`: a configuration to start from, which is the built-in company's.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use crate::cli::Output;
use crate::exit::{Code, Exit};
use crate::{place, show};

pub(super) fn init(dir: &Path, output: Output) -> Result<Code, Exit> {
    let failed = |error: io::Error| Exit::failure(format!("{}: {error}", dir.display()));
    if let Some(there) = there_already(dir) {
        let exit = Exit::new(Code::Refused, format!("{} is there already", dir.join(there).display()));
        return Err(exit.with_help("name another directory; nothing was written"));
    }
    fs::create_dir_all(dir).map_err(failed)?;
    let dir = dir.canonicalize().map_err(failed)?;
    let mut files = Vec::new();
    for (name, text) in nexus_config::starter() {
        write(&dir.join(name), &text)
            .map_err(|error| Exit::failure(format!("{}: {error}", dir.join(name).display())))?;
        files.push(name);
    }
    let trusted = place::trust().is_some_and(|trust| trust.give(&dir).is_ok());
    if output.is_json() {
        show::json(&serde_json::json!({ "dir": dir, "files": files, "trusted": trusted }), output);
        return Ok(Code::Done);
    }
    files.iter().for_each(|name| show::line(&format!("wrote  {name}")));
    if !trusted {
        show::note("note", "they could not be trusted: name them with --config, or see `nexus trust`");
    }
    next(&dir).iter().for_each(|next| show::note("next", next));
    Ok(Code::Done)
}

/// The next steps, which are other ones in the user's own directory for configuration: that needs no trust.
fn next(dir: &Path) -> [String; 2] {
    let own = place::config_home().and_then(|home| home.join("nexus").canonicalize().ok());
    if own.as_deref() == Some(dir) {
        let edit = "edit departments/*.toml there, then `nexus config check`";
        let holds = "nexus up; they take the place of the built-in departments, wherever you stand";
        return [edit.to_owned(), holds.to_owned()];
    }
    let dir = dir.display();
    [
        format!(
            "they are trusted as they are; when you have edited {dir}/departments/*.toml: `nexus config check` there, `nexus trust {dir}`"
        ),
        "nexus up, there; they take the place of the built-in departments".to_owned(),
    ]
}

/// A file or directory that `init` would write, or that would be part of the configuration.
fn there_already(dir: &Path) -> Option<&'static str> {
    ["nexus.toml", "departments"].into_iter().find(|name| dir.join(name).symlink_metadata().is_ok())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}
