//! Kind `codex`: OpenAI's Codex CLI, by `codex exec --json`.
//!
//! Its stream tells what it spends only when it is done; meanwhile its rollout file does ([`reader`]).

use std::path::{Path, PathBuf};

use nexus_core::department::Approval;
use nexus_core::event::Failure;

use crate::adapter::{Adapter, Brief, Launch, Login, Look, Needs, Reader, ToolServer, command_line};

mod reader;

#[cfg(test)]
mod tests;

#[derive(Debug)]
pub(crate) struct Codex;

const INSTALL: &str = "install Node.js, then run `npm install -g @openai/codex`, or `brew install --cask codex`";
/// Longest call of one of the company's tools, in seconds: waiting for another task is one.
const LONGEST_CALL: u32 = 7 * 24 * 3600;
/// It tells what it waits for only in its own log, which goes to standard error.
const LOG: &str = "error,codex_core::responses_retry=warn";

impl Adapter for Codex {
    fn program(&self) -> &'static str {
        "codex"
    }

    fn launch(&self, brief: &Brief<'_>) -> Result<Launch, Failure> {
        let (program, mut args) = command_line(brief.spec, self.program());
        args.extend(["exec", "--json", "--skip-git-repo-check"].map(str::to_owned));
        args.extend(sandbox(brief).iter().map(|&arg| arg.to_owned()));
        let mut set = |key: &str, value: &str| args.extend(["-c".to_owned(), format!("{key}={value}")]);
        set("check_for_update_on_startup", "false");
        set("analytics.enabled", "false");
        for (key, value) in brief.tools.map(server).unwrap_or_default() {
            set(&key, &value);
        }
        if let Some(model) = &brief.spec.model {
            args.extend(["-m".to_owned(), model.clone()]);
        }
        args.extend(brief.spec.args.iter().cloned());
        if let Some(session) = brief.resume {
            args.extend(["resume".to_owned(), session.to_owned()]);
        }
        args.push("-".to_owned());
        Ok(Launch {
            program,
            args,
            env: vec![("RUST_LOG".to_owned(), LOG.to_owned())],
            stdin: Some(brief.prompt.to_owned()),
            side_dir: Some(home(brief).join("sessions")),
            ..Launch::default()
        })
    }

    fn reader(&self, brief: &Brief<'_>) -> Box<dyn Reader> {
        Box::new(reader::CodexReader::new(brief.resume))
    }

    fn needs(&self) -> Needs {
        Needs {
            // Tokens are refreshed in place.
            home: &[
                (".codex/auth.json", true),
                (".codex/config.toml", false),
                (".codex/AGENTS.md", false),
                (".codex/rules", false),
                (".codex/skills", false),
            ],
            hosts: &["api.openai.com:443", "chatgpt.com:443", "auth.openai.com:443"],
            secrets: &["CODEX_API_KEY", "OPENAI_API_KEY", "CODEX_ACCESS_TOKEN"],
            pass: &["OPENAI_BASE_URL"],
        }
    }

    fn login(&self, look: &Look<'_>) -> Login {
        // OPENAI_API_KEY alone it doesn't use: a provider of its settings may.
        let key = ["CODEX_API_KEY", "CODEX_ACCESS_TOKEN"].into_iter().find(|name| (look.has_variable)(name));
        let file = |name: &str| (look.has_file)(&look.home.join(".codex").join(name));
        match key {
            Some(name) => Login::SignedIn(name.to_owned()),
            None if file("auth.json") => Login::SignedIn("~/.codex/auth.json".to_owned()),
            // Settings may name a provider with a key of its own, or another place for all this.
            None if file("config.toml") || (look.has_variable)("CODEX_HOME") => Login::Unknown,
            None => Login::SignedOut("run `codex login`, or set CODEX_API_KEY".to_owned()),
        }
    }

    fn install(&self) -> &'static str {
        INSTALL
    }
}

/// Its own sandbox, and what it may do unasked: `codex exec` never asks.
const fn sandbox(brief: &Brief<'_>) -> &'static [&'static str] {
    match (brief.approval, brief.confined) {
        // Within ours, its own may not come up, and then no command works.
        (Approval::Allow, true) => &["--dangerously-bypass-approvals-and-sandbox"],
        (Approval::Allow, false) => &["-s", "workspace-write", "-c", "approval_policy=\"never\""],
        (Approval::Ask | Approval::Reject, _) => &["-s", "read-only", "-c", "approval_policy=\"never\""],
    }
}

/// The company's tools as settings, which are laid over the user's own. It hands servers only those variables that are named.
fn server(tools: &ToolServer) -> Vec<(String, String)> {
    let key = |field: &str| format!("mcp_servers.{}.{field}", tools.name);
    let list = |items: &[String]| format!("[{}]", items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(","));
    let variables = ["NEXUS_TASK_ID", "NEXUS_ATTEMPT", "NEXUS_WORKSPACE", "NEXUS_DEPARTMENT", "TRACEPARENT"];
    vec![
        (key("command"), quoted(&tools.command)),
        (key("args"), list(&tools.args)),
        (key("env_vars"), list(&variables.map(str::to_owned))),
        (key("startup_timeout_sec"), "60".to_owned()),
        (key("tool_timeout_sec"), LONGEST_CALL.to_string()),
        (key("default_tools_approval_mode"), quoted("approve")),
    ]
}

/// A string of TOML. JSON's escapes are TOML's too, but for one character that JSON leaves as it is.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

/// Its `CODEX_HOME` as the company sees it.
fn home(brief: &Brief<'_>) -> PathBuf {
    let own = brief.spec.env.get("CODEX_HOME").filter(|path| !path.is_empty()).map(Path::new);
    match own {
        Some(path) => brief.outside(path),
        None => brief.home_outside.join(".codex"),
    }
}
