//! Finds the program to start, before starting it.
//!
//! The standard library would look it up itself, but then it gives up its fast way of spawning (`posix_spawn`) as soon as
//! `PATH` is set, and its error can't tell a missing program from a missing directory.

use std::path::{Path, PathBuf};

use crate::command::Command;
use crate::error::SpawnError;

/// The absolute path of the command's program, checked to be executable. Nothing can be checked below `mounted`, which shows
/// its files to the program alone.
#[cfg(unix)]
pub(crate) fn find(command: &Command, mounted: Option<&Path>) -> Result<PathBuf, SpawnError> {
    let is_hidden = |path: &Path| mounted.is_some_and(|mounted| path.starts_with(mounted));
    if !is_hidden(&command.cwd) && !command.cwd.is_dir() {
        return Err(SpawnError::directory(command));
    }
    let name = Path::new(&command.program);
    if command.program.as_encoded_bytes().contains(&b'/') {
        let path = command.cwd.join(name);
        return match look(&path) {
            _ if is_hidden(&path) => Ok(path),
            Found::Executable => Ok(path),
            Found::NotExecutable => Err(SpawnError::NotExecutable(path)),
            Found::Nothing => Err(SpawnError::NotFound(path)),
        };
    }
    let path = command.variable("PATH").unwrap_or_else(|| DEFAULT_PATH.as_ref());
    let mut not_executable = None;
    for directory in std::env::split_paths(path).filter(|_| !command.program.is_empty()) {
        let candidate = command.cwd.join(directory).join(name);
        match look(&candidate) {
            Found::Executable => return Ok(candidate),
            Found::NotExecutable => not_executable = not_executable.or(Some(candidate)),
            Found::Nothing => {}
        }
    }
    Err(match not_executable {
        Some(candidate) => SpawnError::NotExecutable(candidate),
        None => SpawnError::NotInPath {
            program: command.program.to_string_lossy().into_owned(),
            path: path.to_string_lossy().into_owned(),
        },
    })
}

/// Where POSIX shells look when `PATH` is not set.
#[cfg(unix)]
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

#[cfg(unix)]
enum Found {
    Executable,
    NotExecutable,
    Nothing,
}

#[cfg(unix)]
fn look(path: &Path) -> Found {
    if !path.is_file() {
        Found::Nothing
    } else if rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok() {
        Found::Executable
    } else {
        Found::NotExecutable
    }
}

/// Windows looks programs up itself, by `PATH` and `PATHEXT`.
#[cfg(not(unix))]
pub(crate) fn find(command: &Command, _: Option<&Path>) -> Result<PathBuf, SpawnError> {
    if command.cwd.is_dir() { Ok(PathBuf::from(&command.program)) } else { Err(SpawnError::directory(command)) }
}
