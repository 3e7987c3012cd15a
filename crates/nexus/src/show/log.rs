//! A task's log on standard output: as text, as JSON lines, or as one JSON array that is written as it is read.

use std::fmt::Write as _;

use nexus_core::log::LogLine;

use super::escape::printed;
use super::{Screen, raw, time};
use crate::cli::Output;

/// A log that is being shown.
pub(crate) struct Log {
    form: Form,
}

enum Form {
    Text { screen: Screen, timed: bool },
    Lines,
    Array { begun: bool },
}

impl Log {
    /// A log that is followed has no end to close an array with in time: as JSON it is lines.
    pub(crate) fn new(output: Output, follow: bool, timed: bool) -> Self {
        let form = match output {
            Output::Human => Form::Text { screen: Screen::stdout(), timed },
            Output::Json if !follow => Form::Array { begun: false },
            Output::Json | Output::Ndjson => Form::Lines,
        };
        Self { form }
    }

    pub(crate) fn show(&mut self, lines: &[LogLine]) {
        let mut text = String::new();
        for line in lines {
            let json = || serde_json::to_string(line).unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"));
            // Writing into a string doesn't fail.
            let _ = match &mut self.form {
                Form::Text { screen, timed } => {
                    let at = match (*timed, screen.is_terminal()) {
                        (false, _) => String::new(),
                        (true, true) => format!("{}  ", time(line.time)),
                        (true, false) => format!("{:.3}  ", line.time),
                    };
                    writeln!(text, "{at}{}", printed(&line.text, screen.looks))
                }
                Form::Lines => writeln!(text, "{}", json()),
                Form::Array { begun } => {
                    let before = if std::mem::replace(begun, true) { "," } else { "[" };
                    write!(text, "{before}\n  {}", json())
                }
            };
        }
        raw(&text);
    }

    pub(crate) fn end(self) {
        match self.form {
            Form::Array { begun: true } => raw("\n]\n"),
            Form::Array { begun: false } => raw("[]\n"),
            Form::Text { .. } | Form::Lines => {}
        }
    }
}
