//! Adapters of coding agents: each starts one headless, reads its stream, and says what it needs and whether it is there.
//!
//! Everything here is pure: an adapter is given what it may look at, and returns what is to be done. One file a kind.

use std::path::{Path, PathBuf};

use nexus_core::agent::{AgentKind, AgentSpec};
use nexus_core::attempt::ExitStatus;
use nexus_core::department::Approval;
use nexus_core::event::Failure;
use nexus_core::run::Said;
use nexus_core::task::QueueEntry;

/// The way to drive one kind of agent.
pub trait Adapter: Send + Sync {
    /// Its program, as people have it on their `PATH`.
    fn program(&self) -> &'static str;

    /// Its start for one attempt.
    ///
    /// # Errors
    /// Why it can't be started with this, as a failure of the task.
    fn launch(&self, brief: &Brief<'_>) -> Result<Launch, Failure>;

    /// The reader of this agent's output, from the first line to the last.
    fn reader(&self, brief: &Brief<'_>) -> Box<dyn Reader>;

    /// Its needs on a machine where it is confined.
    fn needs(&self) -> Needs;

    /// The state of its sign-in. No secret is read, only whether it is there.
    fn login(&self, look: &Look<'_>) -> Login;

    /// The way to get it, in a sentence.
    fn install(&self) -> &'static str;

    /// True if an attempt can go on with the session of another.
    fn resumes(&self) -> bool {
        true
    }
}

/// Reads what an agent prints. It keeps what it needs to say totals.
pub trait Reader: Send {
    /// Takes one line of its standard output, without the line end. What isn't of its format becomes [`Said::Plain`]; what is
    /// and says nothing to us, nothing.
    fn line(&mut self, line: &[u8], said: &mut Vec<Said>);

    /// Takes one line of its standard error, which the log shows anyway.
    fn error_line(&mut self, _line: &[u8], _said: &mut Vec<Said>) {}

    /// A file of the agent's own that says what its stream doesn't (what it spends, while it runs), once it is known which.
    fn side_file(&self) -> Option<SideFile> {
        None
    }

    /// Takes one line of that file. What stood in it before the run began is of an earlier run, and isn't handed over; what
    /// is written until the leader has ended is, before [`Reader::finish`].
    fn side_line(&mut self, _line: &[u8], _said: &mut Vec<Said>) {}

    /// Its output is complete and its leader gone: what that says, by the rules of this agent, where its stream hasn't said how
    /// it ended.
    fn finish(&mut self, _exit: Option<ExitStatus>, _said: &mut Vec<Said>) {}
}

/// A file below [`Launch::side_dir`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideFile {
    /// In its path below that directory.
    pub contains: String,
    /// The end of its name.
    pub ends: &'static str,
}

/// The input from which an attempt is started.
#[derive(Clone, Debug)]
pub struct Brief<'a> {
    pub spec: &'a AgentSpec,
    pub entry: &'a QueueEntry,
    /// The whole prompt: the department's role and the task.
    pub prompt: &'a str,
    /// Where it works, as it sees it.
    pub workspace: &'a Path,
    /// Its home, as it sees it.
    pub home: &'a Path,
    /// The same directory as the company sees it.
    pub home_outside: &'a Path,
    /// A directory of the attempt's own, which it can read, under the same name inside and outside: for settings that it is to
    /// use beside the user's.
    pub private: &'a Path,
    /// The session to go on with.
    pub resume: Option<&'a str>,
    /// The company's tools, as a server that speaks MCP on its standard streams.
    pub tools: Option<&'a ToolServer>,
    pub approval: Approval,
    /// It is confined by us: a sandbox of its own within ours is in the way.
    pub confined: bool,
    /// It runs as root, or as what looks like it.
    pub as_root: bool,
}

impl Brief<'_> {
    /// A path of the agent's as the company sees it: its home may be elsewhere for it.
    #[must_use]
    pub fn outside(&self, path: &Path) -> PathBuf {
        path.strip_prefix(self.home).map_or_else(|_| path.to_owned(), |below| self.home_outside.join(below))
    }
}

/// A spec's own program and first arguments, or the kind's program.
pub(crate) fn command_line(spec: &AgentSpec, program: &str) -> (String, Vec<String>) {
    match spec.command.split_first() {
        Some((program, args)) => (program.clone(), args.to_vec()),
        None => (program.to_owned(), Vec::new()),
    }
}

/// A server of MCP tools that an agent starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolServer {
    /// `nexus`.
    pub name: String,
    pub command: String,
    pub args: Vec<String>,
}

/// The start of an agent for one attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launch {
    pub program: String,
    pub args: Vec<String>,
    /// Set over the environment that every agent gets.
    pub env: Vec<(String, String)>,
    /// Written to its standard input, which is closed otherwise.
    pub stdin: Option<String>,
    /// To be written before it starts, for the owner only.
    pub prompt_file: Option<(PathBuf, String)>,
    /// The same: settings, below [`Brief::private`].
    pub files: Vec<(PathBuf, String)>,
    /// Where the file of [`Reader::side_file`] is looked for, as the company sees it.
    pub side_dir: Option<PathBuf>,
}

/// The needs of a confined agent on a machine; those that a spec names are added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Below the user's home, and whether it is written: settings and login, file by file where that can be, as sessions and
    /// caches belong to the attempt's own home.
    pub home: &'static [(&'static str, bool)],
    /// Its API and what it signs in with, where `sandbox.network` is `"agent"`: `host:port`.
    pub hosts: &'static [&'static str],
    /// Variables of the company's own environment that hold its key or say where its API is. They are handed to it and to no
    /// other, and their values are taken out of what it prints.
    pub secrets: &'static [&'static str],
    /// Other variables of the company's environment that it is handed: no secrets.
    pub pass: &'static [&'static str],
}

/// The evidence by which an adapter tells whether its agent is signed in.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    pub home: &'a Path,
    /// True if a variable is set and not empty, in the company's environment or by the agent's spec.
    pub has_variable: &'a dyn Fn(&str) -> bool,
    /// True if there is a file with something in it.
    pub has_file: &'a dyn Fn(&Path) -> bool,
}

impl std::fmt::Debug for Look<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Look").field("home", &self.home).finish_non_exhaustive()
    }
}

/// The state of an agent's sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// By what: `ANTHROPIC_API_KEY`, `~/.codex/auth.json`.
    SignedIn(String),
    /// The way to sign in, as a sentence that begins with "run" or "set".
    SignedOut(String),
    /// It can't be told from outside.
    Unknown,
}

/// The adapter of a kind; none of a plain command, nor of an agent that speaks ACP.
#[must_use]
pub fn adapter(kind: AgentKind) -> Option<&'static dyn Adapter> {
    match kind {
        AgentKind::Command | AgentKind::Acp => None,
        AgentKind::Claude => Some(&crate::claude::Claude),
        AgentKind::Codex => Some(&crate::codex::Codex),
        AgentKind::Gemini => Some(&crate::gemini::Gemini),
        AgentKind::Copilot => Some(&crate::copilot::Copilot),
        AgentKind::Qwen => Some(&crate::qwen::Qwen),
        AgentKind::Opencode => Some(&crate::opencode::Opencode),
    }
}
