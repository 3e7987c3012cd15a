//! Why a program could not be started, in words that say what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::command::Command;
use crate::shortage::is_shortage;

/// Why a program could not be started. Never holds arguments or values of variables: they may be secrets.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    #[error("`{program}` is not in PATH ({path}): install it, or name it by its full path")]
    NotInPath { program: String, path: String },
    #[error("there is no program at {}: check the path", .0.display())]
    NotFound(PathBuf),
    #[error("{} is not executable: `chmod +x` it, or start it through its interpreter", .0.display())]
    NotExecutable(PathBuf),
    #[error("the directory {} to run `{program}` in does not exist or is not a directory: create it, or name another one", .cwd.display())]
    Directory { program: String, cwd: PathBuf },
    #[error("the interpreter that the first line of {} names is not installed: install it, or change that line", .0.display())]
    Interpreter(PathBuf),
    #[error("{} is neither a program for this machine nor a script with a `#!` line", .0.display())]
    Format(PathBuf),
    #[error("the arguments and variables of {} are longer than the system allows: pass long text on standard input or in a file", .0.display())]
    TooLong(PathBuf),
    #[error("{} is out of reach of the agent's confinement: name it, or the directory it is installed in, in sandbox.read", .0.display())]
    OutOfReach(PathBuf),
    #[error("the warden could not {doing}: {source}")]
    Warden { doing: String, source: io::Error },
    #[error("the system could not start {}: {source}", .program.display())]
    System { program: PathBuf, source: io::Error },
}

impl SpawnError {
    /// The machine has run out of something, which passes: neither the program nor its arguments are at fault.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        matches!(self, Self::System { source, .. } | Self::Warden { source, .. } if is_shortage(source))
    }

    /// The meaning of the system's refusal to start `program`, given that the program and its directory were found before.
    pub(crate) fn from_system(command: &Command, program: &Path, source: io::Error) -> Self {
        if command.cwd.is_dir() { Self::of_program(program, source) } else { Self::directory(command) }
    }

    /// The same, where it can't be the directory.
    pub(crate) fn of_program(program: &Path, source: io::Error) -> Self {
        let program = program.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound if program.exists() => Self::Interpreter(program),
            io::ErrorKind::NotFound => Self::NotFound(program),
            io::ErrorKind::PermissionDenied => Self::NotExecutable(program),
            io::ErrorKind::ArgumentListTooLong => Self::TooLong(program),
            _ if is_bad_format(&source) => Self::Format(program),
            _ => Self::System { program, source },
        }
    }

    pub(crate) fn directory(command: &Command) -> Self {
        Self::Directory { program: command.program.to_string_lossy().into_owned(), cwd: command.cwd.clone() }
    }
}

#[cfg(unix)]
fn is_bad_format(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::NOEXEC)
}

#[cfg(not(unix))]
const fn is_bad_format(_: &io::Error) -> bool {
    false
}
