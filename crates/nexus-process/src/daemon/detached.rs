//! A program that outlives us: in a process group of its own, with its output in a file.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A started program. Dropping it does nothing to the program.
#[derive(Debug)]
pub struct Detached(Child);

/// Starts `program`, with our environment and directory; `output` is appended to. Signals of our terminal don't reach it.
///
/// # Errors
/// When the file can't be opened, or the program not be started.
pub fn detach(program: &Path, arguments: &[OsString], output: &Path) -> io::Result<Detached> {
    let log = OpenOptions::new().create(true).append(true).open(output)?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().map(Detached)
}

impl Detached {
    /// True if it has ended already.
    ///
    /// # Errors
    /// When the system can't tell.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }
}
