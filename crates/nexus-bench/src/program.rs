//! A program that a floor runs, and who starts it: the system and nobody else, or a warden that is kept for one after another.

use std::process::Stdio;

use nexus_core::attempt::ExitStatus;
use nexus_process::{Command, Event, Launch, Limits, OutputPolicy, Wardens, user_environment};

use crate::LoadError;

pub(crate) struct Program {
    launch: Launch,
    /// None: nothing keeps what the program starts, and nothing proves that it is gone.
    wardens: Option<Wardens>,
}

impl Program {
    pub(crate) fn new(command: &[String], kept: bool) -> Result<Self, LoadError> {
        let (program, arguments) =
            command.split_first().ok_or_else(|| LoadError::Unmet("there is no command".to_owned()))?;
        let launch = Launch {
            command: Command::new(program, "/").args(arguments).env(user_environment(&[])),
            limits: Limits::default(),
            confinement: None,
            overlays: Vec::new(),
            kill_after: None,
            mark: ("NEXUS_BENCH".to_owned(), std::process::id().to_string()),
            output: OutputPolicy::default(),
        };
        Ok(Self { launch, wardens: kept.then(Wardens::default) })
    }

    /// Runs it to its end, and says whether that was a good one.
    pub(crate) async fn run(&self) -> Result<bool, LoadError> {
        let Some(wardens) = &self.wardens else { return self.spawned().await };
        let mut started = wardens.start(&self.launch).await?;
        let mut well = false;
        // The last event is the proof that nothing is left of it.
        while let Some(event) = started.events.next().await {
            if let Event::LeaderExited(status) = event {
                well = status == ExitStatus::Code(0);
            }
        }
        Ok(well)
    }

    async fn spawned(&self) -> Result<bool, LoadError> {
        #[expect(clippy::disallowed_types, reason = "a floor spawns, and does nothing else for it")]
        let mut command = tokio::process::Command::new(&self.launch.command.program);
        let command = command.args(&self.launch.command.args).stdin(Stdio::null()).stdout(Stdio::null());
        Ok(command.kill_on_drop(true).status().await?.success())
    }
}
