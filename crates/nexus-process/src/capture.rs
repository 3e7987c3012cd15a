//! Runs a short tool and collects what it prints.

use std::time::Duration;

use nexus_core::attempt::{ExitStatus, Signal};
use nexus_core::log::Stream;
use nexus_warden::protocol::Limits;

use crate::command::Command;
use crate::error::SpawnError;
use crate::events::Event;
use crate::lines::Split;
use crate::tree::Tree;

/// The end of a tool and all that it printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Captured {
    #[must_use]
    pub fn success(&self) -> bool {
        self.status == ExitStatus::Code(0)
    }
}

/// Why a tool's output could not be had. Its processes have been killed.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error("`{program}` did not end within {} s, and was killed", .after.as_secs_f32())]
    TimedOut { program: String, after: Duration },
    #[error("`{program}` printed more than {limit} bytes, and was killed")]
    TooLong { program: String, limit: usize },
    #[error("`{program}` was killed: the runtime shuts down")]
    ShutDown { program: String },
}

/// Runs `command` to its end and collects what it prints, `limit` bytes of both streams together at most. The tree is killed
/// when it takes longer than `timeout`, or when this future is dropped; what the tool leaves behind is killed with it.
pub async fn capture(command: &Command, timeout: Duration, limit: usize) -> Result<Captured, CaptureError> {
    let program = || command.program.to_string_lossy().into_owned();
    match tokio::time::timeout(timeout, collect(command, limit)).await {
        Ok(Ok(captured)) => Ok(captured),
        Ok(Err(Cut::Spawn(error))) => Err(CaptureError::Spawn(error)),
        Ok(Err(Cut::TooLong)) => Err(CaptureError::TooLong { program: program(), limit }),
        Ok(Err(Cut::ShutDown)) => Err(CaptureError::ShutDown { program: program() }),
        Err(_) => Err(CaptureError::TimedOut { program: program(), after: timeout }),
    }
}

enum Cut {
    Spawn(SpawnError),
    TooLong,
    ShutDown,
}

async fn collect(command: &Command, limit: usize) -> Result<Captured, Cut> {
    let (tree, mut events, _) =
        Tree::spawn_split(command, &Limits::default(), Split::Chunks, None).map_err(Cut::Spawn)?;
    let mut captured = Captured { status: ExitStatus::Code(-1), stdout: Vec::new(), stderr: Vec::new() };
    while let Some(event) = events.next().await {
        match event {
            Event::Output { stream, lines, .. } => {
                let into = if stream == Stream::Stdout { &mut captured.stdout } else { &mut captured.stderr };
                lines.iter().for_each(|chunk| into.extend_from_slice(&chunk.bytes));
                if captured.stdout.len() + captured.stderr.len() > limit {
                    return Err(Cut::TooLong);
                }
            }
            Event::LimitHit(_) => {}
            Event::LeaderExited(status) => {
                captured.status = status;
                tree.signal(Signal::Kill);
            }
            Event::TreeGone => return Ok(captured),
        }
    }
    Err(Cut::ShutDown)
}
