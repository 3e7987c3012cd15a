//! The arguments of commands that have many.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr as _;

use clap::Args;
use jiff::Timestamp;
use nexus_core::units::Span;
use nexus_core::view::Status;

use super::{address, complete, when};

/// The arguments of `up`.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Address of the web page and of MCP over HTTP, or its port alone; port 0 picks a free one. [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDR", value_parser = address::parse)]
    pub(crate) listen: Option<SocketAddr>,
    /// Start it in the background, and return when it is ready. `nexus down` stops it.
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Go on with whatever ledger is found, though the one that the data directory knows is gone.
    #[arg(long)]
    pub(crate) new_ledger: bool,
    /// Log warnings and errors only, not each task that starts or ends.
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Started for a client, wherever that stands: no configuration counts that only lies there, and a free port does where
    /// the address is taken.
    #[arg(long, hide = true)]
    pub(crate) for_client: bool,
    /// The file that standard error goes to: `nexus logs --company` shows it.
    #[arg(long, hide = true, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,
}

/// A task, as `delegate` and `run` take it.
#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    /// The task; for the agent `shell`, the command. Several words are joined by spaces; what comes behind `--` may begin with
    /// a dash. `-` alone reads it from standard input.
    #[arg(required = true, value_name = "DESCRIPTION")]
    pub(crate) description: Vec<String>,
    /// The department; wins over --type.
    #[arg(short, long, add = complete::departments())]
    pub(crate) department: Option<String>,
    /// The agent; without it the department chooses.
    #[arg(short, long, add = complete::agents())]
    pub(crate) agent: Option<String>,
    /// The type of task, by which a department is chosen.
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = nexus_core::task::DEFAULT_TASK_TYPE)]
    pub(crate) task_type: String,
    /// The directory that the work is about.
    #[arg(short, long, value_name = "PATH", default_value = ".")]
    pub(crate) project: PathBuf,
    /// 0 to 9; 9 comes first.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=9))]
    pub(crate) priority: u64,
    /// Longest run of one attempt, such as 10m.
    #[arg(long, value_name = "TIME")]
    pub(crate) timeout: Option<Span>,
    /// The number of times that it is tried, the first time included.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_attempts: Option<u32>,
    /// The same key is the same task: asked for twice, it runs once.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Not started before this time: RFC 3339, a local time such as "2026-12-24 18:00", "18:00" or "tomorrow 9:00", or one from
    /// now, such as +2h.
    #[arg(long, value_name = "TIME", value_parser = when::future)]
    pub(crate) not_before: Option<Timestamp>,
    /// Start from the project's uncommitted changes too, as a commit of their own that `diff` and `apply` leave out.
    /// [default: the department's `workspace.include_uncommitted`]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) include_uncommitted: Option<bool>,
    /// A JSON object for the agent, in NEXUS_CONTEXT.
    #[arg(long, value_name = "JSON")]
    pub(crate) context: Option<String>,
}

/// The arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) task: TaskArgs,
    /// Show the result alone, and of a task that fails the reason.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// The help for an argument that names a task.
pub(super) const TASK: &str = "The task: its id or the first characters of it, or `@` for the newest";
/// The same for several.
pub(super) const TASKS: &str = "The tasks: their ids or the first characters of them, or `@` for the newest";

/// The arguments of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[arg(value_name = "TASK", help = TASKS, add = complete::tasks())]
    pub(crate) tasks: Vec<String>,
    /// The tasks that its agents have asked for too, as a tree.
    #[arg(long, requires = "tasks", conflicts_with = "full")]
    pub(crate) tree: bool,
    /// The whole description, not only its first line.
    #[arg(long, requires = "tasks")]
    pub(crate) full: bool,
}

/// Whether a table is cut to the width of the terminal.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Wide {
    /// Cut nothing and leave nothing out, however narrow the terminal is.
    #[arg(short, long)]
    pub(crate) wide: bool,
}

/// The arguments of `list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only tasks of this department.
    #[arg(short, long, add = complete::departments())]
    pub(crate) department: Option<String>,
    /// Only tasks with this status; may be repeated.
    #[arg(long, value_parser = Status::from_str)]
    pub(crate) status: Vec<Status>,
    /// Finished ones too.
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Only tasks that this one's agent has asked for.
    #[arg(long, value_name = "TASK", add = complete::tasks())]
    pub(crate) parent: Option<String>,
    /// At most this many; 1 to 1000.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000), default_value_t = 50)]
    pub(crate) limit: u32,
    /// Go on after an earlier page.
    #[arg(long)]
    pub(crate) cursor: Option<String>,
    #[command(flatten)]
    pub(crate) wide: Wide,
    /// Show it anew every two seconds, until interrupted.
    #[arg(long)]
    pub(crate) watch: bool,
}

/// The arguments of `logs`.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    #[arg(required_unless_present = "company", help = TASK, add = complete::tasks())]
    pub(crate) task: Option<String>,
    /// The company's own log: what `nexus up` says.
    #[arg(long, conflicts_with = "task")]
    pub(crate) company: bool,
    /// Follow it until the task, or the company, has ended.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Begin with the last lines, so many of them.
    #[arg(short = 'n', long, value_name = "LINES", conflicts_with = "company")]
    pub(crate) tail: Option<usize>,
    /// Begin with what was printed so long ago (10m), or at this time.
    #[arg(long, value_name = "TIME", value_parser = when::past, conflicts_with = "company")]
    pub(crate) since: Option<Timestamp>,
    /// Only what belongs to this attempt.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "company")]
    pub(crate) attempt: Option<u32>,
    /// Begin each line with the time when it was printed.
    #[arg(long, conflicts_with = "company")]
    pub(crate) timestamps: bool,
}

/// The arguments of `shell`.
#[derive(Debug, Args)]
pub(crate) struct ShellArgs {
    #[arg(help = TASK, add = complete::ended_tasks())]
    pub(crate) task: String,
    /// Allow no changes; works while an attempt of the task runs, too.
    #[arg(long)]
    pub(crate) read_only: bool,
    /// The command to run. [default: your $SHELL]
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// The arguments of `apply`.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    #[arg(help = TASK, add = complete::ended_tasks())]
    pub(crate) task: String,
    /// Where both branches have gone on: make the task's commits anew, on top of the current branch.
    #[arg(long, conflicts_with = "merge")]
    pub(crate) rebase: bool,
    /// Where both branches have gone on: make a merge commit. [default: by `[apply] method` in nexus.toml]
    #[arg(long)]
    pub(crate) merge: bool,
}
