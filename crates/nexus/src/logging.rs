//! The story on standard error: one line an event, for people or for machines.

use std::fmt;
use std::io::IsTerminal;

use jiff::Zoned;
use tracing::{Event, Level, Subscriber, field::Visit};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::cli::LogForm;
use crate::show::{Above, dated, one_line, visible};

/// Begins the log; `default` is the level of our own crates and `mcp` that of rmcp, unless `NEXUS_LOG` says otherwise.
/// The connection's story, as async-nats would tell it, is nexus-bus's to tell.
pub(crate) fn begin(form: LogForm, default: &str, mcp: &str) {
    let filter = std::env::var("NEXUS_LOG")
        .unwrap_or_else(|_| format!("warn,async_nats=off,rmcp={mcp},nexus={default},{}", ours(default)));
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Above).with_ansi(colour);
    // Only the first one counts: a test that runs several in one process has one log.
    let _ = match form {
        LogForm::Human => builder.event_format(Human { dated: !std::io::stderr().is_terminal() }).try_init(),
        LogForm::Json => builder.json().flatten_event(true).try_init(),
    };
}

fn ours(level: &str) -> String {
    let crates = [
        "ceo",
        "ledger",
        "runtime",
        "bus",
        "broker",
        "config",
        "history",
        "mcp",
        "web",
        "process",
        "workspace",
        "agents",
    ];
    crates.map(|name| format!("nexus_{name}={level}")).join(",")
}

/// `12:01:07  engineering  what happened  (task ..)`, with the date where no terminal shows it.
struct Human {
    dated: bool,
}

impl<S, N> FormatEvent<S, N> for Human
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let target = event.metadata().target();
        let source = target.strip_prefix("nexus_").unwrap_or(target).split("::").next().unwrap_or_default();
        let who = fields.department.as_deref().unwrap_or(source);
        let level = match *event.metadata().level() {
            Level::ERROR => "error: ",
            Level::WARN => "warning: ",
            _ => "",
        };
        let dim = if out.has_ansi_escapes() { ("\u{1b}[2m", "\u{1b}[0m") } else { ("", "") };
        // What is not looked at as it comes is read on another day.
        let now = Zoned::now();
        let time = if self.dated { dated(&now) } else { now.strftime("%H:%M:%S").to_string() };
        write!(out, "{}{time}{}  {who:<12} {level}{}", dim.0, dim.1, visible(&fields.message))?;
        if !fields.rest.is_empty() {
            write!(out, "  {}({}){}", dim.0, one_line(&fields.rest.join(", ")), dim.1)?;
        }
        writeln!(out)
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    department: Option<String>,
    rest: Vec<String>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "department" => self.department = Some(format!("{value:?}")),
            name => self.rest.push(format!("{name} {value:?}")),
        }
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        match field.name() {
            "department" => self.department = Some(value.to_owned()),
            name => self.rest.push(format!("{name} {value}")),
        }
    }
}
