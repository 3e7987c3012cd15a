//! What people and programs are shown: standard output for answers, standard error for the story.

mod tables;
mod task;

use std::io::Write;

use nexus_core::event::{Event, What};
use nexus_core::log::LogLine;
use serde::Serialize;

use crate::cli::Output;

pub(crate) use tables::{departments, tasks, workers};
pub(crate) use task::{outcome, status};

/// A line on standard output. A reader that has gone (`| head`) is no error: there is nothing left to say to it.
pub(crate) fn line(text: &str) {
    write(format_args!("{text}\n"));
}

/// Text as it is, on standard output.
pub(crate) fn text(text: &str) {
    write(format_args!("{text}"));
}

fn write(text: std::fmt::Arguments<'_>) {
    let mut out = anstream::stdout().lock();
    if out.write_fmt(text).and_then(|()| out.flush()).is_err() {
        std::process::exit(i32::from(crate::exit::Code::Done as u8));
    }
}

/// A value as JSON on standard output: indented as a document, or on one line.
pub(crate) fn json<T: Serialize>(value: &T, output: Output) {
    let text = match output {
        Output::Ndjson => serde_json::to_string(value),
        _ => serde_json::to_string_pretty(value),
    };
    line(&text.unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}")));
}

/// A line of the story, on standard error.
pub(crate) fn note(word: &str, text: &str) {
    let dim = anstyle::Style::new().dimmed();
    anstream::eprintln!("{dim}{word:<8}{dim:#} {text}");
}

/// A line of a task's log, on standard error.
pub(crate) fn log_line(line: &LogLine, ours: bool) {
    if ours {
        note("", &format!("-- {}", line.text));
    } else {
        anstream::eprintln!("         {}", line.text);
    }
}

/// An event on one line.
pub(crate) fn event(event: &Event) -> String {
    let detail = match &event.what {
        What::Started { worker, agent, .. } => format!("{worker}, {agent}, attempt {}", event.attempt),
        What::CancelRequested { reason } | What::Interrupted { reason } | What::Retried { reason } => reason.clone(),
        What::AttemptFailed { failure, retry_at, .. } => format!("{}; again at {retry_at:.0}", failure.message),
        What::Completed { outcome } => format!("{:.2} s", seconds(outcome.duration_ms)),
        What::Failed { failure, .. } => failure.message.clone(),
        What::Cancelled { reason, .. } => reason.clone(),
    };
    format!("{:.0}  {:<12} {}  {:<16} {detail}", event.at, event.department, event.task_id, event.what.name())
}

/// Milliseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "for people, with two digits")]
pub(crate) const fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

/// Bytes as people write them.
#[expect(clippy::cast_precision_loss, reason = "for people, with one digit")]
pub(crate) fn bytes(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", units[unit]) }
}

/// A length of time in its largest unit: `40s`, `2m`, `1h`, `3d`.
pub(crate) fn age(since: jiff::Timestamp) -> String {
    let secs = jiff::Timestamp::now().duration_since(since).as_secs().max(0);
    match secs {
        0..60 => format!("{secs}s"),
        60..3600 => format!("{}m", secs / 60),
        3600..86_400 => format!("{}h", secs / 3600),
        _ => format!("{}d", secs / 86_400),
    }
}

/// The beginning of a text, on one line.
pub(crate) fn short(text: &str, width: usize) -> String {
    let line = text.lines().next().unwrap_or_default();
    let cut = line.chars().count() > width || text.lines().nth(1).is_some();
    let kept: String = line.chars().take(if cut { width.saturating_sub(3) } else { width }).collect();
    if cut { format!("{kept}...") } else { kept }
}
