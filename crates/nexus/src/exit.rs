//! Exit codes, and the one way in which a command says that it failed.

use std::io::Write as _;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use nexus_bus::BusError;
use nexus_core::refusal::{Refusal, RefusalKind};

use crate::cli::Output;
use crate::show;

/// The contract's exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Code {
    Done = 0,
    Failure = 1,
    Usage = 2,
    NotFound = 3,
    Refused = 4,
    Denied = 5,
    Unreachable = 6,
    TimedOut = 7,
    TaskFailed = 8,
    Doctor = 9,
    Interrupted = 130,
}

impl Code {
    pub(crate) const ALL: [Self; 11] = [
        Self::Done,
        Self::Failure,
        Self::Usage,
        Self::NotFound,
        Self::Refused,
        Self::Denied,
        Self::Unreachable,
        Self::TimedOut,
        Self::TaskFailed,
        Self::Doctor,
        Self::Interrupted,
    ];

    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failure => "it failed",
            Self::Usage => "the command line or the configuration is wrong",
            Self::NotFound => "there is no such task, department or agent",
            Self::Refused => "refused, or in conflict with what is there",
            Self::Denied => "NATS refused the credentials or the permission",
            Self::Unreachable => "the company, or its NATS server, can't be reached",
            Self::TimedOut => "it took too long",
            Self::TaskFailed => "`nexus run`: the task failed or was cancelled",
            Self::Doctor => "`nexus doctor` found a problem",
            Self::Interrupted => "interrupted (Ctrl-C)",
        }
    }

    /// The code of a company that ended before it was ready.
    pub(crate) const fn of_company(code: i32) -> Option<Self> {
        match code {
            2 => Some(Self::Usage),
            4 => Some(Self::Refused),
            5 => Some(Self::Denied),
            6 => Some(Self::Unreachable),
            _ => None,
        }
    }
}

/// The exit codes, for the help.
pub(crate) fn codes() -> String {
    let lines = Code::ALL.map(|code| format!("  {:>3}  {}", code as u8, code.meaning()));
    format!("Exit codes:\n{}", lines.join("\n"))
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// A failed command: its code, what happened, and the way out.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    report: Option<miette::Report>,
    locked: bool,
}

impl Exit {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None, report: None, locked: false }
    }

    pub(crate) fn failure(message: impl Into<String>) -> Self {
        Self::new(Code::Failure, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    /// The data directory is another company's at the moment.
    pub(crate) fn locked(message: impl Into<String>) -> Self {
        Self { locked: true, ..Self::new(Code::Refused, message) }
    }

    pub(crate) const fn is_locked(&self) -> bool {
        self.locked
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Errors of the configuration, shown with their places.
    pub(crate) fn config(errors: nexus_config::ConfigErrors) -> Self {
        let message = errors.to_string();
        Self { report: Some(miette::Report::new(errors.into_report())), ..Self::usage(message) }
    }

    /// Says it on standard error: as JSON where JSON was asked for, else for people.
    pub(crate) fn report(self, output: Output) -> ExitCode {
        let text = if output.is_json() {
            serde_json::json!({ "error": self.message, "help": self.help, "exit_code": self.code as u8 }).to_string()
        } else if let Some(report) = self.report {
            format!("{report:?}")
        } else {
            let red = anstyle::AnsiColor::Red.on_default().bold();
            let screen = show::Screen::stderr();
            let help = self.help.map(|help| format!("\n  {}", screen.hang(&help, 2))).unwrap_or_default();
            format!("{red}error:{red:#} {}{help}", screen.hang(&self.message, 2))
        };
        show::told(&text);
        self.code.into()
    }
}

/// Commands that people try by the names that other programs have for them.
const OTHER_NAMES: [(&str, &str); 8] = [
    ("stop", "down"),
    ("shutdown", "down"),
    ("quit", "down"),
    ("kill", "cancel"),
    ("start", "up"),
    ("serve", "up"),
    ("ps", "list"),
    ("log", "logs"),
];

/// Names the command that is meant by another program's name for it.
pub(crate) fn suggest(mut error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(tried)) = error.get(ContextKind::InvalidSubcommand) else { return error };
    if let Some((_, meant)) = OTHER_NAMES.iter().find(|(name, _)| name == tried) {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(vec![(*meant).to_owned()]));
    }
    error
}

/// Says what is wrong with the command line as the command would have said it; help and version are answers.
pub(crate) fn misused(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        show::or_leave(error.print().and_then(|()| std::io::stdout().flush()));
        return Code::Done.into();
    }
    let asked_for_json = wants_json(std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()));
    if !asked_for_json || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        error.exit();
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text).trim();
    let (what, help) = text.split_once("\n\n").unwrap_or((text, ""));
    let exit = Exit::usage(what);
    let exit = if help.is_empty() { exit } else { exit.with_help(help.trim()) };
    exit.report(Output::Json)
}

/// True if a command line that can't be parsed asks for JSON, as far as can be told.
fn wants_json(args: impl Iterator<Item = String>) -> bool {
    let is_json = |value: &str| ["json", "ndjson"].contains(&value);
    let mut after_option = false;
    for arg in args.take_while(|arg| arg != "--") {
        let value = arg.strip_prefix("--output=").or_else(|| arg.strip_prefix("-o="));
        let value = value.or_else(|| arg.strip_prefix("-o")).filter(|value| !value.is_empty());
        if value.is_some_and(is_json) || after_option && is_json(&arg) {
            return true;
        }
        after_option = ["-o", "--output"].contains(&arg.as_str());
    }
    false
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<BusError> for Exit {
    fn from(error: BusError) -> Self {
        let code = match error {
            BusError::Denied { .. } | BusError::Forbidden(_) => Some(Code::Denied),
            // Nothing that passes by itself: a run is not to wait for it.
            BusError::Unfit { .. } => Some(Code::Refused),
            _ => None,
        };
        let exit = Self::from(Refusal::from(error));
        Self { code: code.unwrap_or(exit.code), ..exit }
    }
}

impl From<Refusal> for Exit {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal.kind {
            RefusalKind::InvalidInput | RefusalKind::Ambiguous => Code::Usage,
            RefusalKind::NotFound | RefusalKind::UnknownDepartment | RefusalKind::UnknownAgent => Code::NotFound,
            RefusalKind::AgentNotInDepartment
            | RefusalKind::NoAgent
            | RefusalKind::Busy
            | RefusalKind::Limit
            | RefusalKind::Forbidden
            | RefusalKind::StorageFull
            | RefusalKind::Conflict => Code::Refused,
            RefusalKind::TimedOut => Code::TimedOut,
            RefusalKind::Stopped | RefusalKind::Unreachable => Code::Unreachable,
            RefusalKind::NewerVersion | RefusalKind::Internal => Code::Failure,
        };
        Self { help: refusal.help, ..Self::new(code, refusal.message) }
    }
}
