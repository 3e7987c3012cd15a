//! Kind `copilot`: GitHub's Copilot CLI, by its prompt on standard input and `--output-format json`.
//!
//! It names its session only when it is done, so the name is chosen here. What it spends, its session's file says ([`reader`]).

use std::path::{Path, PathBuf};

use nexus_core::department::Approval;
use nexus_core::event::Failure;
use serde_json::json;
use uuid::Uuid;

use crate::adapter::{Adapter, Brief, Launch, Login, Look, Needs, Reader, command_line};

mod reader;

#[cfg(test)]
mod tests;

#[derive(Debug)]
pub(crate) struct Copilot;

impl Adapter for Copilot {
    fn program(&self) -> &'static str {
        "copilot"
    }

    fn launch(&self, brief: &Brief<'_>) -> Result<Launch, Failure> {
        let (program, mut args) = command_line(brief.spec, self.program());
        let fixed = ["--output-format", "json", "--no-ask-user", "--no-auto-update", "--disable-client-telemetry"];
        args.extend(fixed.map(str::to_owned));
        args.push(match brief.resume {
            Some(session) => format!("--resume={session}"),
            None => format!("--session-id={}", session(brief)),
        });
        args.extend(permissions(brief).iter().map(|&arg| arg.to_owned()));
        let mut files = Vec::new();
        if let Some(tools) = brief.tools {
            let path = brief.private.join("copilot-mcp.json");
            let server = json!({"type": "local", "command": tools.command, "args": tools.args, "tools": ["*"]});
            files.push((path.clone(), json!({"mcpServers": {&tools.name: server}}).to_string()));
            args.extend(["--additional-mcp-config".to_owned(), format!("@{}", path.display())]);
            args.push(format!("--allow-tool={}", tools.name));
        }
        if let Some(model) = &brief.spec.model {
            args.extend(["--model".to_owned(), model.clone()]);
        }
        args.extend(brief.spec.args.iter().cloned());
        Ok(Launch {
            program,
            args,
            env: vec![("COPILOT_AUTO_UPDATE".to_owned(), "false".to_owned())],
            stdin: Some(brief.prompt.to_owned()),
            files,
            side_dir: Some(home(brief).join("session-state")),
            ..Launch::default()
        })
    }

    fn reader(&self, brief: &Brief<'_>) -> Box<dyn Reader> {
        let session = brief.resume.map_or_else(|| session(brief).to_string(), str::to_owned);
        Box::new(reader::CopilotReader::new(session))
    }

    fn needs(&self) -> Needs {
        Needs {
            home: &[
                (".copilot/config.json", true),
                (".copilot/settings.json", false),
                (".copilot/mcp-config.json", false),
                (".copilot/copilot-instructions.md", false),
                (".copilot/agents", false),
                (".config/gh/hosts.yml", false),
            ],
            hosts: &[
                "api.github.com:443",
                "github.com:443",
                "api.githubcopilot.com:443",
                "*.githubcopilot.com:443",
                "copilot-proxy.githubusercontent.com:443",
            ],
            secrets: &[
                "COPILOT_GITHUB_TOKEN",
                "GH_TOKEN",
                "GITHUB_TOKEN",
                "COPILOT_PROVIDER_API_KEY",
                "COPILOT_PROVIDER_BEARER_TOKEN",
            ],
            pass: &[
                "COPILOT_MODEL",
                "COPILOT_OFFLINE",
                "COPILOT_PROVIDER_BASE_URL",
                "COPILOT_PROVIDER_TYPE",
                "COPILOT_PROVIDER_WIRE_API",
                "COPILOT_PROVIDER_MODEL_ID",
                "COPILOT_PROVIDER_WIRE_MODEL",
                "COPILOT_PROVIDER_AZURE_API_VERSION",
                "COPILOT_PROVIDER_MAX_PROMPT_TOKENS",
                "COPILOT_PROVIDER_MAX_OUTPUT_TOKENS",
                "GH_HOST",
                "COPILOT_GH_HOST",
            ],
        }
    }

    fn login(&self, look: &Look<'_>) -> Login {
        // A provider of one's own may want no key.
        let provider = ["COPILOT_PROVIDER_BASE_URL"];
        let mut names = self.needs().secrets.iter().chain(&provider);
        if let Some(name) = names.find(|name| (look.has_variable)(name)) {
            return Login::SignedIn((*name).to_owned());
        }
        // Its own login is in the system's keyring, or in this file where there is none; the file is there either way.
        match [".copilot/config.json", ".config/gh/hosts.yml"].iter().any(|file| (look.has_file)(&look.home.join(file)))
        {
            true => Login::Unknown,
            false => Login::SignedOut("run `copilot login`, or set COPILOT_GITHUB_TOKEN".to_owned()),
        }
    }

    fn install(&self) -> &'static str {
        "install Node.js 22 or newer, then run `npm install -g @github/copilot`"
    }
}

/// The tools that it may use unasked; others are refused, as nobody can be asked.
const fn permissions(brief: &Brief<'_>) -> &'static [&'static str] {
    match (brief.approval, brief.confined) {
        (Approval::Allow, true) => &["--allow-all"],
        // Paths outside of its workspace are what it keeps from itself.
        (Approval::Allow, false) => &["--allow-all-tools", "--allow-all-urls"],
        (Approval::Ask | Approval::Reject, _) => &["--deny-tool=write", "--deny-tool=shell"],
    }
}

/// The name of a new session: another one for each time that a task is begun.
fn session(brief: &Brief<'_>) -> Uuid {
    let entry = brief.entry;
    let start = format!("copilot {} {} {}", entry.attempt, entry.interruptions, entry.queued_at);
    Uuid::new_v5(entry.task.id.as_uuid(), start.as_bytes())
}

/// Its `COPILOT_HOME` as the company sees it.
fn home(brief: &Brief<'_>) -> PathBuf {
    let own = brief.spec.env.get("COPILOT_HOME").filter(|path| !path.is_empty()).map(Path::new);
    match own {
        Some(path) => brief.outside(path),
        None => brief.home_outside.join(".copilot"),
    }
}
