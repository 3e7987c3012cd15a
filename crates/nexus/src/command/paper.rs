//! `nexus completions` and `nexus man`: what a shell and a reader of manuals want to know of the command line.

use std::path::{Path, PathBuf};

use clap_complete::env::Shells;

use crate::cli::{COMPLETE, manual};
use crate::exit::{Code, Exit};
use crate::show;

/// Prints what a shell has to read so that it asks this program for completions.
pub(super) fn completions(shell: clap_complete::Shell) -> Result<Code, Exit> {
    let shells = Shells::builtins();
    let name = shell.to_string();
    let unknown = || Exit::usage(format!("there are no completions for {name}"));
    let shell = shells.completer(&name).ok_or_else(unknown)?;
    // Written at once: nothing panics where nobody reads it.
    let mut script = Vec::new();
    shell
        .write_registration(COMPLETE, "nexus", "nexus", &program(), &mut script)
        .map_err(|error| Exit::failure(format!("no completions could be made: {error}")))?;
    show::raw(&String::from_utf8_lossy(&script));
    Ok(Code::Done)
}

/// This program as it was called: by its name, or by a path that holds in other directories too.
fn program() -> String {
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_else(|| "nexus".into());
    let called = if called.components().count() > 1 { std::path::absolute(&called).unwrap_or(called) } else { called };
    called.to_string_lossy().into_owned()
}

/// Prints the manual page of the program, or writes those of all commands.
pub(super) fn man(dir: Option<&Path>) -> Result<Code, Exit> {
    let Some(dir) = dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(manual())
            .render(&mut page)
            .map_err(|error| Exit::failure(format!("no manual page could be made: {error}")))?;
        show::raw(&String::from_utf8_lossy(&page));
        return Ok(Code::Done);
    };
    let written = std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(manual(), dir));
    written.map_err(|error| Exit::failure(format!("{}: {error}", dir.display())))?;
    show::line(&format!("written  {}: man -l {}", dir.display(), dir.join("nexus.1").display()));
    Ok(Code::Done)
}
