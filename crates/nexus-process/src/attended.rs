//! Runs a program for the person who sits at our terminal.

use crate::command::Command;
use crate::error::SpawnError;

/// Runs `command` with our standard streams, so with our terminal too, and returns its exit code; one that a signal ended has 128
/// and the signal's number, as in a shell. [`Command::stdin`] says nothing here. What is typed to interrupt the command is its
/// own affair: this process goes on until the command has ended.
///
/// # Errors
/// When the command can't be started.
pub async fn attend(command: &Command) -> Result<i32, SpawnError> {
    let program = crate::program::find(command, None)?;
    let failed = |source| SpawnError::from_system(command, &program, source);
    // Once something listens, these signals end this process no more.
    #[cfg(unix)]
    let _listening = {
        use tokio::signal::unix::{SignalKind, signal};
        [signal(SignalKind::interrupt()).map_err(failed)?, signal(SignalKind::quit()).map_err(failed)?]
    };
    let mut started = std::process::Command::new(&program);
    started.args(&command.args).current_dir(&command.cwd).env_clear().envs(command.env.iter().cloned());
    let mut child = started.spawn().map_err(failed)?;
    let ended = tokio::task::spawn_blocking(move || child.wait()).await;
    let status = ended.map_err(std::io::Error::other).and_then(|status| status).map_err(failed)?;
    Ok(code(status))
}

fn code(status: std::process::ExitStatus) -> i32 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return 128 + signal;
    }
    status.code().unwrap_or(1)
}
