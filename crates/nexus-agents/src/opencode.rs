//! Kind `opencode`: opencode, by `opencode run --format json`.

use nexus_core::department::Approval;
use nexus_core::event::{Failure, FailureKind};
use serde_json::{Map, Value, json};

use crate::adapter::{Adapter, Brief, Launch, Login, Look, Needs, Reader, command_line};

mod reader;

#[cfg(test)]
mod tests;

#[derive(Debug)]
pub(crate) struct Opencode;

/// Settings that are laid over those of the user's files.
const SETTINGS: &str = "OPENCODE_CONFIG_CONTENT";
/// A file of settings beside the user's.
const FILE: &str = "OPENCODE_CONFIG";
/// Longest call of one of the company's tools, in milliseconds: waiting for another task is one. What a timer can count.
const LONGEST_CALL: u32 = i32::MAX as u32;

impl Adapter for Opencode {
    fn program(&self) -> &'static str {
        "opencode"
    }

    fn launch(&self, brief: &Brief<'_>) -> Result<Launch, Failure> {
        let (program, mut args) = command_line(brief.spec, self.program());
        // That it waits for a limit to be over, it says in its log alone.
        let fixed = ["run", "--format", "json", "--print-logs", "--log-level", "WARN"];
        args.extend(fixed.map(str::to_owned));
        if brief.approval == Approval::Allow {
            args.push("--auto".to_owned());
        }
        if let Some(model) = &brief.spec.model {
            args.extend(["--model".to_owned(), model.clone()]);
        }
        args.extend(brief.spec.args.iter().cloned());
        if let Some(session) = brief.resume {
            args.extend(["--session".to_owned(), session.to_owned()]);
        }
        let mut env = vec![("OPENCODE_DISABLE_AUTOUPDATE".to_owned(), "1".to_owned())];
        // Over all settings, whoever made them.
        env.push(("OPENCODE_PERMISSION".to_owned(), permissions(brief).to_string()));
        let (settings, mut files) = (settings(brief).to_string(), Vec::new());
        let own = |name: &str| brief.spec.env.contains_key(name);
        match (own(SETTINGS), own(FILE)) {
            (false, _) => env.push((SETTINGS.to_owned(), settings)),
            (true, false) => {
                let path = brief.private.join("opencode.json");
                env.push((FILE.to_owned(), path.display().to_string()));
                files.push((path, settings));
            }
            (true, true) => {
                let message = format!("the agent's env sets both {SETTINGS} and {FILE}; the company needs one of them");
                return Err(Failure { kind: FailureKind::Spawn, message });
            }
        }
        Ok(Launch { program, args, env, stdin: Some(brief.prompt.to_owned()), files, ..Launch::default() })
    }

    fn reader(&self, brief: &Brief<'_>) -> Box<dyn Reader> {
        Box::new(reader::OpencodeReader::new(brief.spec.model.clone()))
    }

    fn needs(&self) -> Needs {
        Needs {
            home: &[
                (".local/share/opencode/auth.json", true),
                (".config/opencode/opencode.json", false),
                (".config/opencode/opencode.jsonc", false),
                (".config/opencode/AGENTS.md", false),
                (".config/opencode/agent", false),
            ],
            hosts: &[
                "opencode.ai:443",
                "models.dev:443",
                "api.anthropic.com:443",
                "console.anthropic.com:443",
                "api.openai.com:443",
                "auth.openai.com:443",
                "generativelanguage.googleapis.com:443",
                "openrouter.ai:443",
                "api.githubcopilot.com:443",
                "github.com:443",
                "api.github.com:443",
            ],
            secrets: &[
                "OPENCODE_API_KEY",
                "ANTHROPIC_API_KEY",
                "OPENAI_API_KEY",
                "GEMINI_API_KEY",
                "GOOGLE_GENERATIVE_AI_API_KEY",
                "OPENROUTER_API_KEY",
            ],
            pass: &["OPENCODE_CONFIG", "OPENCODE_DISABLE_MODELS_FETCH"],
        }
    }

    fn login(&self, look: &Look<'_>) -> Login {
        if let Some(name) = self.needs().secrets.iter().find(|name| (look.has_variable)(name)) {
            return Login::SignedIn((*name).to_owned());
        }
        let file = |path: &str| (look.has_file)(&look.home.join(path));
        if file(".local/share/opencode/auth.json") {
            return Login::SignedIn("~/.local/share/opencode/auth.json".to_owned());
        }
        // Settings may name a provider with a key of its own, or one that wants none.
        let settings = [".config/opencode/opencode.json", ".config/opencode/opencode.jsonc"];
        let variables = [SETTINGS, FILE, "OPENCODE_CONFIG_DIR"];
        match settings.iter().any(|path| file(path)) || variables.iter().any(|name| (look.has_variable)(name)) {
            true => Login::Unknown,
            false => Login::SignedOut("run `opencode auth login`, or set the key of a provider".to_owned()),
        }
    }

    fn install(&self) -> &'static str {
        "install Node.js, then run `npm install -g opencode-ai`"
    }
}

/// The settings that the company needs, beside the user's own.
fn settings(brief: &Brief<'_>) -> Value {
    let mut settings = json!({"autoupdate": false, "share": "disabled"});
    if let Some(tools) = brief.tools {
        let command: Vec<_> = std::iter::once(&tools.command).chain(&tools.args).collect();
        let server = json!({"type": "local", "command": command, "enabled": true, "timeout": LONGEST_CALL});
        settings["mcp"] = json!({&tools.name: server});
    }
    settings
}

/// The tools that it may use unasked; where it isn't told `--auto`, others are refused.
fn permissions(brief: &Brief<'_>) -> Value {
    let mut permissions = Map::new();
    if brief.approval != Approval::Allow {
        for tool in ["edit", "bash", "webfetch", "external_directory"] {
            permissions.insert(tool.to_owned(), json!("deny"));
        }
    }
    if let Some(tools) = brief.tools {
        permissions.insert(format!("{}_*", tools.name), json!("allow"));
    }
    Value::Object(permissions)
}
