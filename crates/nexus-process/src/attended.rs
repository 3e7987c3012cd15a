//! Runs a program for the person who sits at our terminal.

use std::fs::File;

use crate::command::Command;
use crate::error::SpawnError;

/// Runs `command` with our standard streams, and so with our terminal, and returns its exit code: 128 and the signal's number if a
/// signal ended it, as in a shell. [`Command::stdin`] is ignored. An interrupt that is typed ends the command at most: this
/// process goes on until the command has ended.
///
/// # Errors
/// When the command can't be started.
pub async fn attend(command: &Command) -> Result<i32, SpawnError> {
    attend_with(command, None).await
}

/// The same; the command inherits `handed` under the number that it has here.
pub(crate) async fn attend_with(command: &Command, handed: Option<&File>) -> Result<i32, SpawnError> {
    let program = crate::program::find(command, &[])?;
    let failed = |source| SpawnError::from_system(command, &program, source);
    // Once something listens, these signals end this process no more.
    #[cfg(unix)]
    let _listening = {
        use tokio::signal::unix::{SignalKind, signal};
        [signal(SignalKind::interrupt()).map_err(failed)?, signal(SignalKind::quit()).map_err(failed)?]
    };
    let mut started = std::process::Command::new(&program);
    started.args(&command.args).current_dir(&command.cwd).env_clear().envs(command.env.iter().cloned());
    inherit(handed, true).map_err(failed)?;
    let spawned = started.spawn();
    inherit(handed, false).map_err(failed)?;
    let mut child = spawned.map_err(failed)?;
    let ended = tokio::task::spawn_blocking(move || child.wait()).await;
    let status = ended.map_err(std::io::Error::other).and_then(|status| status).map_err(failed)?;
    Ok(code(status))
}

#[cfg(unix)]
fn inherit(handed: Option<&File>, is_inherited: bool) -> std::io::Result<()> {
    use rustix::io::{FdFlags, fcntl_setfd};
    let flags = if is_inherited { FdFlags::empty() } else { FdFlags::CLOEXEC };
    Ok(handed.map_or(Ok(()), |file| fcntl_setfd(file, flags))?)
}

/// Only the warden's program takes any, which other systems don't have.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same as where it can")]
const fn inherit(_: Option<&File>, _: bool) -> std::io::Result<()> {
    Ok(())
}

fn code(status: std::process::ExitStatus) -> i32 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return 128 + signal;
    }
    status.code().unwrap_or(1)
}
