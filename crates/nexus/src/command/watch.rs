//! `--watch`: the same answer anew every two seconds.

use std::time::Duration;

use tokio::time::sleep;

use super::up::Signals;
use crate::cli::Output;
use crate::exit::Exit;
use crate::show::{self, Screen};

/// The pause between two answers.
const PAUSE: Duration = Duration::from_secs(2);

pub(super) struct Watch {
    signals: Signals,
}

impl Watch {
    pub(super) fn new() -> Result<Self, Exit> {
        Ok(Self { signals: Signals::new()? })
    }

    /// An answer is at hand: it takes the place of the last one where that is on a terminal.
    pub(super) fn begin(&self, output: Output) {
        if output == Output::Human && Screen::stdout().is_terminal() {
            show::raw("\u{1b}[H\u{1b}[2J");
        }
    }

    /// Waits for the next time; true: it was interrupted.
    pub(super) async fn is_over(&mut self) -> bool {
        tokio::select! {
            () = sleep(PAUSE) => false,
            () = self.signals.next() => true,
        }
    }
}
