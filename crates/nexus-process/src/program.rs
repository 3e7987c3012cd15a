//! Finds the program to start, before starting it.
//!
//! The standard library would look it up itself, but then it gives up its fast way of spawning (`posix_spawn`) as soon as
//! `PATH` is set, and its error can't tell a missing program from a missing directory.

use std::path::{Path, PathBuf};

use crate::command::Command;
use crate::error::SpawnError;
use crate::overlay::Overlay;

/// The absolute path of the command's program, checked to be executable. What `overlays` show is seen by the program alone: of
/// that nothing is checked that was asked for by its path, and names on the `PATH` are looked for in the layers.
#[cfg(unix)]
pub(crate) fn find(command: &Command, overlays: &[Overlay]) -> Result<PathBuf, SpawnError> {
    let over = |path: &Path| overlays.iter().rfind(|overlay| path.starts_with(&overlay.target));
    let is_hidden = |path: &Path| over(path).is_some();
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
        let found = match over(&candidate) {
            Some(overlay) => look_below(overlay, &candidate),
            None => look(&candidate),
        };
        match found {
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

/// The same for a path that an overlay shows. Where it isn't in the uppermost layer that has it a file, it is nothing: the kernel
/// notes so that it is gone.
#[cfg(unix)]
fn look_below(overlay: &Overlay, path: &Path) -> Found {
    let mut path = path.to_owned();
    for _ in 0..HOPS {
        let Ok(below) = path.strip_prefix(&overlay.target) else { return look(&path) };
        let mut layers = std::iter::once(&overlay.upper).chain(&overlay.lower).map(|layer| layer.join(below));
        let Some(there) = layers.find(|there| there.symlink_metadata().is_ok()) else { return Found::Nothing };
        let Ok(target) = there.read_link() else { return look(&there) };
        let parent = path.parent().unwrap_or(&overlay.target);
        path = plain(&parent.join(target));
    }
    Found::Nothing
}

/// Links that are followed, one after the other. The kernel follows 40.
#[cfg(unix)]
const HOPS: usize = 16;

/// Without `.` and `..`.
#[cfg(unix)]
pub(crate) fn plain(path: &Path) -> PathBuf {
    use std::path::Component;
    path.components().fold(PathBuf::new(), |mut plain, component| {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
        plain
    })
}

/// Windows looks programs up itself, by `PATH` and `PATHEXT`.
#[cfg(not(unix))]
pub(crate) fn find(command: &Command, _: &[Overlay]) -> Result<PathBuf, SpawnError> {
    if command.cwd.is_dir() { Ok(PathBuf::from(&command.program)) } else { Err(SpawnError::directory(command)) }
}
