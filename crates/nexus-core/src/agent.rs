//! An agent: its program, and how it is given its task.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::AgentName;

mod interpreter;

/// The way to drive an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AgentKind {
    /// Any program: its output is its log, its exit code says how it went.
    Command,
    Acp,
    Claude,
    Codex,
    Gemini,
    Copilot,
    Qwen,
    Opencode,
}

impl AgentKind {
    pub const ALL: [Self; 8] =
        [Self::Command, Self::Acp, Self::Claude, Self::Codex, Self::Gemini, Self::Copilot, Self::Qwen, Self::Opencode];

    /// It works by a model: it takes a role, says what it spends, and can use the company's tools. Not so a plain command.
    #[must_use]
    pub const fn is_model(self) -> bool {
        !matches!(self, Self::Command)
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Acp => "acp",
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Copilot => "copilot",
            Self::Qwen => "qwen",
            Self::Opencode => "opencode",
        }
    }
}

/// The way of the task's description to a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PromptVia {
    /// As one more argument, at the end. Other users of the machine can read arguments while it runs.
    #[default]
    Arg,
    /// On standard input, which is closed after it.
    Stdin,
    /// In a file whose path is in `NEXUS_PROMPT_FILE`.
    File,
    /// Not at all: the command says all that is to be done, such as `["make", "test"]`.
    None,
}

/// `[agents.NAME]` of `nexus.toml`: declares an agent, or changes a built-in one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentSpec {
    pub kind: AgentKind,
    /// The program and its arguments; no shell is involved. A coding agent's kind knows its own (`codex`); here another one
    /// can be named, such as one that isn't on `PATH`.
    #[serde(default)]
    pub command: Vec<String>,
    /// More arguments of a coding agent's, before the task: such as `["--search"]`.
    #[serde(default)]
    pub args: Vec<String>,
    /// The model that it is to use, as its own command line names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The account that its model is paid by, where several agents share one: what closes it closes it for all of them. Its
    /// own name, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AgentName>,
    /// True: the department's `role` is put before its task. Coding agents get it unless this is false; a plain command
    /// (whose task may be a program) if it is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<bool>,
    /// True: it gets the company's tools, by which it delegates to other departments. Coding agents do unless this is
    /// false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company_tools: Option<bool>,
    /// True: it runs the task's description as a command, and so takes only tasks that name it, or whose type is `command`.
    /// Absent: so does a plain command that is a shell, or another interpreter, with the description as its program
    /// (`["sh", "-c"]`). False: what it is handed is prose to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<bool>,
    /// Set in the agent's environment, over what it gets anyway. Secrets don't belong here.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The way in which the task's description is handed over.
    #[serde(default)]
    pub prompt: PromptVia,
    /// Variables that are secrets, and where each is to be had: handed to this agent alone, taken out of what it prints, and
    /// never shown.
    #[serde(default)]
    pub secrets: BTreeMap<String, SecretSource>,
    /// The files of the user's home that a confined one needs: its settings, its login.
    #[serde(default)]
    pub home: Vec<HomePath>,
    /// The hosts that it needs where `sandbox.network` is `"agent"`: `"host:port"`, `"*.domain:port"`, `"address:port"`;
    /// the port is 443 if absent, and any if `*`.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The image that it runs in where `sandbox.level` is `"container"`, in place of the department's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// Where a secret is to be had; one of the three.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretSource {
    /// A file that holds nothing else; `~/` is the user's home. It must not be readable by everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// A variable of the company's own environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// A program that prints it, and its arguments.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "without_arguments")]
    pub command: Option<Vec<String>>,
    /// The agent doesn't get it: a proxy sets it as a header of what the agent sends to one server. Needs `sandbox.network =
    /// "agent"` or a list of hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inject: Option<Inject>,
}

/// The server that a secret is for. The agent asks it without TLS (`http://host/`), the proxy goes there as is said here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inject {
    /// `https://host`, or with a port; its host has to be listed too.
    pub to: String,
    /// Such as `authorization` or `x-api-key`.
    pub header: String,
    /// The header's value; `{}` stands for the secret.
    #[serde(default = "bare")]
    pub value: String,
}

fn bare() -> String {
    "{}".to_owned()
}

impl Inject {
    #[must_use]
    pub fn fill(&self, secret: &str) -> String {
        self.value.replacen("{}", secret, 1)
    }
}

/// Arguments may be secrets themselves.
#[expect(clippy::ref_option, reason = "what serde calls it with")]
fn without_arguments<S: serde::Serializer>(command: &Option<Vec<String>>, serializer: S) -> Result<S::Ok, S::Error> {
    let shown = command.iter().flatten().enumerate().map(|(at, word)| if at == 0 { word.as_str() } else { "***" });
    serializer.collect_seq(shown)
}

/// A path below the user's home: a string to read it, or a table to write it too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum HomePath {
    Read(String),
    Table(HomeTable),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HomeTable {
    /// Below the home.
    pub path: String,
    /// It may be changed, for good.
    #[serde(default)]
    pub write: bool,
}

impl HomePath {
    /// Relative to the home.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Read(path) => path,
            Self::Table(table) => &table.path,
        }
    }

    #[must_use]
    pub const fn is_writable(&self) -> bool {
        matches!(self, Self::Table(HomeTable { write: true, .. }))
    }
}

impl AgentSpec {
    /// The built-in `shell`: runs the description with `sh -c` in the task's workspace.
    #[must_use]
    pub fn shell() -> Self {
        Self { command: vec!["sh".to_owned(), "-c".to_owned()], ..Self::of(AgentKind::Command) }
    }

    /// An agent of this kind, with nothing changed.
    #[must_use]
    pub const fn of(kind: AgentKind) -> Self {
        Self {
            kind,
            command: Vec::new(),
            args: Vec::new(),
            model: None,
            account: None,
            role: None,
            company_tools: None,
            commands: None,
            env: BTreeMap::new(),
            prompt: PromptVia::Arg,
            secrets: BTreeMap::new(),
            home: Vec::new(),
            hosts: Vec::new(),
            image: None,
        }
    }

    /// It gets the department's role before its task.
    #[must_use]
    pub fn takes_role(&self) -> bool {
        self.role.unwrap_or(self.kind.is_model())
    }

    /// It gets the company's tools.
    #[must_use]
    pub fn takes_company_tools(&self) -> bool {
        self.company_tools.unwrap_or(self.kind.is_model())
    }

    /// It runs the task's description as a command.
    #[must_use]
    pub fn runs_commands(&self) -> bool {
        let by_itself = || interpreter::runs_description(&self.command, self.prompt);
        !self.kind.is_model() && self.commands.unwrap_or_else(by_itself)
    }

    /// The interpreter that runs the description, if that is no POSIX shell.
    #[must_use]
    pub fn other_language(&self) -> Option<&str> {
        interpreter::other_language(&self.command)
    }

    /// The account that it works on, if its name is this.
    #[must_use]
    pub fn account_of(&self, name: &AgentName) -> AgentName {
        self.account.clone().unwrap_or_else(|| name.clone())
    }
}
