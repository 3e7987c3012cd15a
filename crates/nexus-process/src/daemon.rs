//! Long-lived helper programs, such as the company's own broker: started from one thread that lives as long as the
//! process, watched, and ended with it. (An agent's process tree is another matter: it goes through a warden.)
//!
//! On Linux a daemon dies with this process, however this process ends (`PR_SET_PDEATHSIG`). macOS and Windows have
//! nothing like it: there a daemon outlives a SIGKILL of its parent, and the next start finds and ends it
//! ([`leftover::end`]). Windows has no TERM either: [`Daemon::terminate`] kills straight away there.

mod detached;
pub mod leftover;
mod spawner;
mod stranger;

pub use detached::{Detached, detach};
pub use stranger::OtherProcess;

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::timeout;

/// A daemon to start. The environment is exactly `env`; standard input is closed.
#[derive(Clone, Debug)]
pub struct DaemonSpec {
    pub program: PathBuf,
    pub args: Vec<OsString>,
    pub env: Vec<(OsString, OsString)>,
    /// Standard output and standard error go to this file, which is emptied first.
    pub output: PathBuf,
}

/// Why a daemon could not be started.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error("open {path} for the output of {program}: {source}")]
    Output { program: PathBuf, path: PathBuf, source: io::Error },
    #[error("start {program}: {source}")]
    Spawn { program: PathBuf, source: io::Error },
}

/// A running helper program. Dropping it kills its process group.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    pid: u32,
}

/// Starts a daemon in a process group of its own.
///
/// # Errors
/// When the output file can't be opened or the program can't be started.
pub async fn start(spec: &DaemonSpec) -> Result<Daemon, DaemonError> {
    let opened = || {
        let file = OpenOptions::new().create(true).write(true).truncate(true).open(&spec.output)?;
        Ok((file.try_clone()?, file))
    };
    let (stdout, stderr) = opened().map_err(|source| DaemonError::Output {
        program: spec.program.clone(),
        path: spec.output.clone(),
        source,
    })?;
    let mut command = Command::new(&spec.program);
    command.args(&spec.args).env_clear().envs(spec.env.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).kill_on_drop(true);
    let spawned = spawner::spawn(command).await;
    let failed = |source| DaemonError::Spawn { program: spec.program.clone(), source };
    let child = spawned.map_err(failed)?;
    let pid = child.id().ok_or_else(|| failed(io::Error::other("it ended before it had a pid")))?;
    Ok(Daemon { child, pid })
}

impl Daemon {
    /// The process id it was started with, also after it has ended.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for its end. Safe to cancel and to call again.
    ///
    /// # Errors
    /// When the operating system refuses to tell.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Asks it to end (TERM to its group), kills it when `grace` is over, and returns once it is reaped.
    ///
    /// # Errors
    /// When the operating system refuses to tell how it ended.
    pub async fn terminate(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        self.ask_to_end();
        if let Ok(ended) = timeout(grace, self.child.wait()).await {
            return ended;
        }
        self.kill_group();
        self.child.wait().await
    }

    #[cfg(unix)]
    fn ask_to_end(&self) {
        self.signal_group(rustix::process::Signal::TERM);
    }

    #[cfg(not(unix))]
    fn ask_to_end(&mut self) {
        self.kill_group();
    }

    #[cfg(unix)]
    fn kill_group(&mut self) {
        self.signal_group(rustix::process::Signal::KILL);
    }

    #[cfg(not(unix))]
    fn kill_group(&mut self) {
        // It may just have ended by itself, which is what is wanted.
        let _ = self.child.start_kill();
    }

    /// `Child::id` is empty once the child is reaped, so a signal never meets a stranger with the same pid.
    #[cfg(unix)]
    fn signal_group(&self, signal: rustix::process::Signal) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // The group may be gone already, which is what is wanted.
            let _ = rustix::process::kill_process_group(pid, signal);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill_group();
    }
}

#[cfg(test)]
mod tests;
