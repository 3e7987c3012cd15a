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
    show::note("next", "edit departments/*.toml, then `nexus config check` and `nexus trust`, here");
    show::note("next", "nexus up, here; this takes the place of the built-in departments");
    Ok(Code::Done)
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
