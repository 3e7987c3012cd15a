//! The output for people and programs: standard output for answers, standard error for the story.

mod block;
mod branches;
mod escape;
mod live;
mod log;
mod overview;
mod screen;
mod table;
mod tables;
mod task;
mod time;
mod tree;

use std::io::Write;
use std::sync::OnceLock;

use nexus_core::event::{Event, What};
use nexus_core::log::{LogLine, Stream};
use nexus_core::run::RunReport;
use serde::Serialize;

use crate::cli::Output;
use crate::exit::Code;

pub(crate) use block::Block;
pub(crate) use branches::{branch, cleaned, diff, kept, patch, stock};
use escape::printed;
pub(crate) use escape::{on_terminal, one_line, visible};
pub(crate) use live::{Above, Live};
pub(crate) use log::Log;
pub(crate) use overview::overview;
pub(crate) use screen::Screen;
pub(crate) use tables::{agent_state, agents, departments, state, tasks, workers};
pub(crate) use task::{next_commands, outcome, status};
pub(crate) use time::{dated, time};
pub(crate) use tree::{message, tree};

/// A line for people on standard output.
pub(crate) fn line(text: &str) {
    raw(&format!("{}\n", visible(text)));
}

/// Text for people on standard output.
pub(crate) fn text(text: &str) {
    raw(&visible(text));
}

/// Text with colours of ours on standard output; what others have written is made `visible` before.
pub(crate) fn out(text: &str) {
    let mut out = anstream::stdout().lock();
    or_leave(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// A line with colours of ours on standard output; what others have written is made `visible` before.
pub(crate) fn styled(text: &str) {
    let mut out = anstream::stdout().lock();
    or_leave(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// Exactly this on standard output, for programs.
pub(crate) fn raw(text: &str) {
    let mut out = std::io::stdout().lock();
    or_leave(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// What the command has done by now, to be said if its answer can't be: it would be done twice otherwise.
static DONE: OnceLock<String> = OnceLock::new();

/// Notes what the command has done, before it prints the answer.
pub(crate) fn done(what: String) {
    let _ = DONE.set(what);
}

/// A reader that has gone (`| head`) is no error: there is nothing left to say to it. Anything else is one: whoever keeps the
/// answer in a file would take a part of it, or nothing, for all of it.
pub(crate) fn or_leave(written: std::io::Result<()>) {
    let Err(error) = written else { return };
    let code = if error.kind() == std::io::ErrorKind::BrokenPipe {
        Code::Done
    } else {
        error_line(&format!("the answer could not be written to standard output: {error}"));
        DONE.get().into_iter().for_each(|done| note("done", done));
        Code::Failure
    };
    std::process::exit(i32::from(code as u8));
}

/// A line on standard error, as far as that can be written: there is nobody else to tell.
pub(crate) fn error_line(text: &str) {
    let red = anstyle::AnsiColor::Red.on_default().bold();
    told(&format!("{red}error:{red:#} {}", visible(text)));
}

/// A line with colours of ours on standard error. One that is full or closed ends nothing.
pub(crate) fn told(line: &str) {
    let _ = live::above(|| writeln!(anstream::stderr().lock(), "{line}"));
}

/// True where standard output and standard error are one file, as with `2>&1`.
#[cfg(unix)]
pub(crate) fn is_one_file() -> bool {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::MetadataExt as _;

    let file = |fd: std::os::fd::BorrowedFd<'_>| {
        let file = std::fs::File::from(fd.try_clone_to_owned()?).metadata()?;
        std::io::Result::Ok((file.dev(), file.ino()))
    };
    let (out, err) = (file(std::io::stdout().as_fd()), file(std::io::stderr().as_fd()));
    matches!((out, err), (Ok(out), Ok(err)) if out == err)
}

#[cfg(not(unix))]
pub(crate) const fn is_one_file() -> bool {
    false
}

/// A value as JSON on standard output: indented as a document, or on one line.
pub(crate) fn json<T: Serialize>(value: &T, output: Output) {
    let text = match output {
        Output::Ndjson => serde_json::to_string(value),
        _ => serde_json::to_string_pretty(value),
    };
    let text = text.unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"));
    raw(&format!("{text}\n"));
}

/// A line of the story, on standard error.
pub(crate) fn note(word: &str, text: &str) {
    let dim = anstyle::Style::new().dimmed();
    told(&format!("{dim}{word:<8}{dim:#} {}", Screen::stderr().hang(text, 9)));
}

/// Says what lies where one stands and is not in force.
pub(crate) fn untrusted(loaded: &nexus_config::Loaded) {
    if let Some(untrusted) = &loaded.untrusted {
        note("note", &untrusted.to_string());
    }
}

/// A line of a task's log, on standard error.
pub(crate) fn log_line(line: &LogLine, screen: Screen) {
    if line.stream == Stream::System {
        note("", &format!("-- {}", line.text));
        return;
    }
    // The story is told as far as somebody listens; the task goes on.
    let text = printed(&line.text, screen.looks);
    let _ = live::above(|| writeln!(std::io::stderr().lock(), "         {text}"));
}

/// The progress of an agent's run, in short.
fn progress(run: &RunReport) -> String {
    let (turns, calls) = (count(run.turns, "turn", "turns"), count(run.tool_calls, "tool call", "tool calls"));
    let spent = format!("{turns}, {} tokens, {calls}", run.tokens.total());
    match &run.doing {
        Some(doing) => format!("{spent}; {doing}"),
        None => spent,
    }
}

/// An event on one line, as much of it as the screen has room for.
pub(crate) fn event(event: &Event, screen: Screen) -> String {
    let detail = match &event.what {
        What::Started { worker, agent, .. } => format!("{worker}, {agent}, attempt {}", event.attempt),
        What::CancelRequested { reason, .. } | What::Interrupted { reason, .. } | What::Retried { reason } => {
            reason.clone()
        }
        What::Progressed { run, .. } => progress(run),
        What::Deferred { reason, until: Some(until), .. } => format!("{reason}; again at {}", time(*until)),
        What::Deferred { reason, until: None, .. } => reason.clone(),
        What::AttemptFailed { failure, retry_at, .. } => format!("{}; again at {}", failure.message, time(*retry_at)),
        What::Completed { outcome } => format!("{:.2} s", seconds(outcome.duration_ms)),
        What::Failed { failure, .. } => failure.message.clone(),
        What::Cancelled { reason, .. } => reason.clone(),
    };
    let (time, id) = (time(event.at), screen.id(event.task_id));
    let line = format!("{time}  {:<12} {id}  {:<16} {detail}", event.department, event.what.name());
    screen.cut(&one_line(&line))
}

/// A number of things: `1 turn`, `2 turns`.
pub(crate) fn count(number: impl Into<u64>, one: &str, many: &str) -> String {
    let number = number.into();
    format!("{number} {}", if number == 1 { one } else { many })
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

/// The beginning of a text, on one line and without control characters.
pub(crate) fn short(text: &str, width: usize) -> String {
    let line = text.lines().next().unwrap_or_default();
    let cut = line.chars().count() > width || text.lines().nth(1).is_some();
    let kept: String = line.chars().take(if cut { width.saturating_sub(1) } else { width }).collect();
    let shown = kept.replace('\t', " ");
    format!("{}{}", one_line(&shown), if cut { "…" } else { "" })
}
