//! A program that outlives us: in a process group of its own, with its output in a file.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// A started program. Dropping it does nothing to the program.
#[derive(Debug)]
pub struct Detached(Child);

/// The size from which a log is put aside before the next program writes to it: its end is what is read.
pub(super) const LARGE: u64 = 16 << 20;

/// Starts `program`, with our environment and directory; `output` is appended to. Signals of our terminal don't reach it.
///
/// An `output` that has become large is kept beside it, as `<name>.old`.
///
/// # Errors
/// When the file can't be opened, or the program not be started.
pub fn detach(program: &Path, arguments: &[OsString], output: &Path) -> io::Result<Detached> {
    put_aside(output)?;
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let log = options.open(output)?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    isolate(&mut command);
    command.spawn().map(Detached)
}

fn put_aside(output: &Path) -> io::Result<()> {
    match fs::metadata(output) {
        Ok(known) if known.len() >= LARGE => {
            let mut old = output.as_os_str().to_owned();
            old.push(".old");
            fs::rename(output, old)
        }
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn isolate(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(windows)]
fn isolate(command: &mut Command) {
    const DETACHED_PROCESS: u32 = 0x8;
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
    std::os::windows::process::CommandExt::creation_flags(command, DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP);
}

impl Detached {
    /// The process id that it was started with.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, if it has ended already.
    ///
    /// # Errors
    /// When the system can't tell.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.0.try_wait()
    }

    /// Waits for its end, and tells how it ended.
    #[cfg(test)]
    pub(super) fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait()
    }
}
