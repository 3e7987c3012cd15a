//! The arguments of commands that have many.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use nexus_core::units::Span;

/// The arguments of `up`.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Address of the web page and of MCP over HTTP; port 0 picks a free one. [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDR")]
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
    #[arg(short, long)]
    pub(crate) department: Option<String>,
    /// The agent; without it the department chooses.
    #[arg(short, long)]
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
    /// Not started before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) not_before: Option<Timestamp>,
    /// Start from the project's uncommitted changes too, as a commit of their own that `diff` and `apply` leave out.
    /// [default: the department's `workspace.include_uncommitted`]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) include_uncommitted: Option<bool>,
    /// A JSON object for the agent, in NEXUS_CONTEXT.
    #[arg(long, value_name = "JSON")]
    pub(crate) context: Option<String>,
}

/// The arguments of `shell`.
#[derive(Debug, Args)]
pub(crate) struct ShellArgs {
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
    pub(crate) task: String,
    /// Where both branches have gone on: make the task's commits anew, on top of the current branch.
    #[arg(long, conflicts_with = "merge")]
    pub(crate) rebase: bool,
    /// Where both branches have gone on: make a merge commit. [default: by `[apply] method` in nexus.toml]
    #[arg(long)]
    pub(crate) merge: bool,
}
