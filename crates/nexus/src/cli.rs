//! The command line, as the contract names it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use nexus_core::question::QuestionId;

mod address;
mod args;
mod complete;
mod families;
mod help;
#[cfg(test)]
mod reference;
mod when;

pub(crate) use args::{ApplyArgs, ListArgs, LogsArgs, RunArgs, ShellArgs, StatusArgs, TaskArgs, UpArgs, Wide};
use args::{TASK, TASKS};
pub(crate) use complete::COMPLETE;
pub(crate) use families::{
    AgentsCommand, BrokerCommand, Client, ConfigCommand, HistoryCommand, McpCommand, SchemaName, ServiceCommand,
    TokenCommand,
};
pub(crate) use help::{command, manual};

/// Runs a company of software agents: a CEO routes tasks to departments, whose workers run them as processes.
///
/// Start here:  nexus run --agent shell "git log --oneline | head -3"
#[derive(Debug, Parser)]
#[command(name = "nexus", version, max_term_width = 100, after_long_help = crate::exit::codes())]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,

    /// The form of what is printed: for people, one JSON document, or one JSON document a line.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Human, help_heading = "Output")]
    pub(crate) output: Output,

    /// The log on standard error: for people, or JSON lines.
    #[arg(long, global = true, hide = true, value_enum, default_value_t = LogForm::Human, help_heading = "Company")]
    pub(crate) log: LogForm,
}

/// Which company is meant.
#[derive(Clone, Debug, Args)]
pub(crate) struct PlaceArgs {
    /// Directory of all state; a running company is found by it. [default: the platform's data directory]
    #[arg(long, global = true, hide = true, value_name = "DIR", env = "NEXUS_DATA_DIR", help_heading = "Company")]
    pub(crate) data_dir: Option<PathBuf>,

    /// A NATS server to use instead of a private one.
    #[arg(long, global = true, hide = true, value_name = "URL", help_heading = "Company")]
    pub(crate) nats: Option<String>,

    /// Credentials file for that NATS server.
    #[arg(long, global = true, hide = true, value_name = "FILE", requires = "nats", help_heading = "Company")]
    pub(crate) creds: Option<PathBuf>,

    /// Directory of nexus.toml and departments/. [default: here, if there is departments/ that was trusted; else the platform's
    /// configuration directory; else the built-in departments]
    #[arg(long, global = true, hide = true, value_name = "DIR", env = "NEXUS_CONFIG", help_heading = "Company")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Human,
    Json,
    Ndjson,
}

impl Output {
    pub(crate) const fn is_json(self) -> bool {
        !matches!(self, Self::Human)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogForm {
    Human,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a company, until it is told to stop (Ctrl-C, or SIGTERM).
    #[command(after_help = help::UP)]
    Up(UpArgs),
    /// Stop the running company: what its agents have not finished goes back to the queue.
    ///
    /// Waits until it has ended. Ctrl-C meanwhile lets it stop without waiting for its agents.
    Down,
    /// Serve MCP on standard input and output, for the running company.
    #[command(args_conflicts_with_subcommands = true)]
    Mcp {
        /// Start a company in the background first, if none is running.
        #[arg(long)]
        start: bool,
        #[command(subcommand)]
        command: Option<McpCommand>,
    },
    /// Give a task to the company; prints its id and doesn't wait.
    #[command(after_help = help::DELEGATE)]
    Delegate(TaskArgs),
    /// Give a task to the company, show its log, and wait for its end. Without a running company, runs one meanwhile.
    #[command(after_help = help::RUN)]
    Run(RunArgs),
    /// Show what is known of a task.
    ///
    /// Without a task, show the company: where it runs, and the work of its departments.
    #[command(after_help = help::STATUS)]
    Status(StatusArgs),
    /// List tasks, newest first.
    #[command(after_help = help::LIST)]
    List(ListArgs),
    /// Show a task's log, or the company's own.
    #[command(after_help = help::LOGS)]
    Logs(LogsArgs),
    /// Show what a task's agent was told, word for word.
    Prompt {
        #[arg(help = TASK, add = complete::tasks())]
        task: String,
        /// In this attempt; without it, in the latest.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        attempt: Option<u32>,
    },
    /// Cancel tasks; says so of each when no process of it is alive.
    Cancel {
        #[arg(required = true, value_name = "TASK", help = TASKS, add = complete::active_tasks())]
        tasks: Vec<String>,
        /// Kept with the task.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Allow or reject what a task's agent is asking to do (`nexus status` shows it, and the question's id).
    Answer {
        #[arg(help = TASK, add = complete::tasks())]
        task: String,
        answer: Answer,
        /// The question that this answers. If it is no longer open, nothing is answered. Can be left out for the only question
        /// that a task has ever asked.
        #[arg(long, value_name = "ID")]
        question: Option<QuestionId>,
    },
    /// Put failed or cancelled tasks back on the queue.
    Retry {
        #[arg(required = true, value_name = "TASK", help = TASKS, add = complete::failed_tasks())]
        tasks: Vec<String>,
    },
    /// Move a task that waits to another department; its attempts are counted from the start there.
    Move {
        #[arg(help = TASK, add = complete::active_tasks())]
        task: String,
        #[arg(short, long, add = complete::departments())]
        department: String,
    },
    /// Show dead letters: what was published and could not become work, and tasks that have failed for good.
    Dead {
        /// At most this many, the newest.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000), default_value_t = 50)]
        limit: u32,
    },
    /// Show what a task has changed in its git repository: its branch, and what its workspace has beyond that.
    Diff {
        #[arg(help = TASK, add = complete::tasks())]
        task: String,
        /// Only how much, by file.
        #[arg(long)]
        stat: bool,
    },
    /// Open a shell in a task's workspace, or run a command there.
    ///
    /// Commits that you make there come onto the task's branch when you leave. An agent has had the files in hand: its scripts
    /// and builds run as you, without its sandbox. git is given settings that switch off the agent's hooks, filters,
    /// aliases and other programs. The exit code is the command's.
    Shell(ShellArgs),
    /// Print the path of an ended task's workspace, as a plain directory.
    ///
    /// A workspace of layers has no path that other programs could open. This copies its files into one directory first,
    /// which can take a while. `nexus shell` needs no copy.
    Path {
        #[arg(help = TASK, add = complete::tasks())]
        task: String,
    },
    /// Bring a task's branch into the current branch of its project. Where that can't be, nothing is changed.
    #[command(after_help = help::APPLY)]
    Apply(ApplyArgs),
    /// Remove workspaces and branches of ended tasks where nothing would be lost; explains why the rest is kept.
    Clean {
        /// Only of these tasks.
        #[arg(value_name = "TASK", add = complete::ended_tasks())]
        tasks: Vec<String>,
        /// Only say what would be removed.
        #[arg(long)]
        dry_run: bool,
    },
    /// List the departments.
    Departments {
        #[command(flatten)]
        wide: Wide,
    },
    /// Start a department again that was stopped because it failed too often; its tasks that wait are done then.
    Resume {
        #[arg(add = complete::departments())]
        department: String,
    },
    /// Leave a department a message: whoever works there next is shown it.
    Message {
        #[arg(add = complete::departments())]
        department: String,
        /// `-` reads it from standard input.
        text: String,
    },
    /// Show the newest messages that a department was left.
    Messages {
        #[arg(add = complete::departments())]
        department: String,
        /// At most this many; 1 to 100.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100), default_value_t = 20)]
        limit: u32,
    },
    /// List the agents: whether each can work, and what it has spent today.
    Agents {
        #[command(subcommand)]
        command: Option<AgentsCommand>,
        #[command(flatten)]
        wide: Wide,
    },
    /// List the workers and what they do.
    Workers {
        #[command(flatten)]
        wide: Wide,
        /// Show it anew every two seconds, until interrupted.
        #[arg(long)]
        watch: bool,
    },
    /// Show what has happened, or follow what happens.
    Events {
        /// Follow what happens from now on, until interrupted.
        #[arg(short, long)]
        follow: bool,
        /// Only events of this task.
        #[arg(long, add = complete::tasks())]
        task: Option<String>,
        /// Without --follow: the newest events, at most this many.
        #[arg(long, default_value_t = 100)]
        limit: u16,
        #[command(flatten)]
        wide: Wide,
    },
    /// Write a configuration to start from: `nexus.toml` and `departments/`, as the built-in company has them.
    ///
    /// They are trusted as they are written. Nothing is overwritten.
    Init {
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Check, show or describe the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Let `departments/` in a directory count where you stand there, as it is now. Its agents are programs that run as you.
    Trust {
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Take it back.
        #[arg(long)]
        remove: bool,
    },
    /// The private NATS server: install it, or look at it.
    #[command(subcommand)]
    Broker(BrokerCommand),
    /// The token that the company's HTTP asks for.
    #[command(subcommand)]
    Token(TokenCommand),
    /// The history, which is a copy of the ledger in SQL.
    #[command(subcommand)]
    History(HistoryCommand),
    /// The company as a service of its user, by systemd or launchd.
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Save the ledger, logs, messages and the token in one file, whether the company runs or not.
    ///
    /// Not in it: workspaces, the branches in your repositories, and the configuration. Keep the file to yourself: it holds
    /// what tasks were told, what agents printed, and the token.
    Backup {
        /// A new file; one that exists is not overwritten.
        file: PathBuf,
    },
    /// Make an empty data directory what it was at the time of a backup.
    ///
    /// Tasks that waited then wait again, and those that ran then are run again. What had ended is not.
    Restore { file: PathBuf },
    /// Exit with 0 if the company is up and answers.
    Health,
    /// Look for problems, and say how to mend them.
    Doctor,
    /// Started by `nexus up` beside itself: ends its agents should it be killed.
    #[command(hide = true)]
    Guard { name: String, value: String },
    /// Started by an agent: its way to the company's tools, where it has no warden's.
    #[cfg(unix)]
    #[command(hide = true)]
    Bridge { door: PathBuf },
    /// Print what makes a shell complete commands, tasks, departments and agents.
    ///
    /// For bash, in ~/.bashrc: source <(nexus completions bash). For zsh, in ~/.zshrc behind compinit: source <(nexus
    /// completions zsh). For fish, in ~/.config/fish/completions/nexus.fish: nexus completions fish | source
    Completions { shell: clap_complete::Shell },
    /// Print the manual page, or write those of all commands into a directory.
    Man { dir: Option<PathBuf> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Answer {
    Allow,
    Reject,
}
