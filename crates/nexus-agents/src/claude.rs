//! Claude Code (`claude`): prints JSON messages, asks its API ten times before it gives up, and says "success" of failures.

use nexus_core::department::Approval;
use nexus_core::event::Failure;
use serde_json::json;

use crate::adapter::{Adapter, Brief, Launch, Login, Look, Needs, Reader, command_line};
use crate::stream_json::{Dialect, StreamJson};

pub(crate) struct Claude;

impl Adapter for Claude {
    fn program(&self) -> &'static str {
        "claude"
    }

    fn launch(&self, brief: &Brief<'_>) -> Result<Launch, Failure> {
        let (program, mut args) = command_line(brief.spec, self.program());
        let mut arg = |text: &str| args.push(text.to_owned());
        // Partial messages say what a message has cost as soon as it is there; without them that is only told at the end.
        for text in ["-p", "--output-format", "stream-json", "--verbose", "--include-partial-messages"] {
            arg(text);
        }
        if let Some(model) = &brief.spec.model {
            arg("--model");
            arg(model);
        }
        if let Some(session) = brief.resume {
            arg("--resume");
            arg(session);
        }
        // Lists are given with "=": otherwise they would take the arguments after them.
        if let Some(tools) = brief.tools {
            let server =
                json!({ "mcpServers": { tools.name.as_str(): { "command": tools.command, "args": tools.args } } });
            arg(&format!("--mcp-config={server}"));
            arg(&format!("--allowedTools=mcp__{}", tools.name));
        }
        match brief.approval {
            Approval::Allow => arg("--dangerously-skip-permissions"),
            // Nobody is asked in this mode: what isn't allowed by itself is denied, and the model told so.
            Approval::Ask => arg("--permission-mode=default"),
            // What the user's own settings allow it is not to do here either.
            Approval::Reject => {
                arg("--permission-mode=default");
                arg("--disallowedTools=Bash,Edit,Write,NotebookEdit");
            }
        }
        if brief.confined {
            arg("--settings={\"sandbox\":{\"enabled\":false}}");
        }
        args.extend(brief.spec.args.iter().cloned());

        let mut env: Vec<_> = [
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
            "DISABLE_AUTOUPDATER",
            "DISABLE_TELEMETRY",
            "DISABLE_ERROR_REPORTING",
        ]
        .map(|name| (name.to_owned(), "1".to_owned()))
        .into();
        if brief.as_root && brief.approval == Approval::Allow {
            // It refuses to skip permissions as root, unless it is told that this does no harm.
            env.push(("IS_SANDBOX".to_owned(), "1".to_owned()));
        }
        Ok(Launch { program, args, env, stdin: Some(brief.prompt.to_owned()), ..Launch::default() })
    }

    fn reader(&self, _brief: &Brief<'_>) -> Box<dyn Reader> {
        Box::new(StreamJson::new(Dialect::Claude))
    }

    fn needs(&self) -> Needs {
        Needs {
            // Its token is renewed while it runs; a copy would be of no use to anybody once that has happened.
            home: &[
                (".claude/.credentials.json", true),
                (".claude/settings.json", false),
                (".claude/CLAUDE.md", false),
                (".claude/agents", false),
                (".claude/commands", false),
                (".claude/skills", false),
            ],
            hosts: &["api.anthropic.com:443", "console.anthropic.com:443", "platform.claude.com:443", "claude.ai:443"],
            secrets: &["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"],
            pass: &[
                "ANTHROPIC_BASE_URL",
                "ANTHROPIC_MODEL",
                "ANTHROPIC_SMALL_FAST_MODEL",
                "ANTHROPIC_DEFAULT_OPUS_MODEL",
                "ANTHROPIC_DEFAULT_SONNET_MODEL",
                "ANTHROPIC_DEFAULT_HAIKU_MODEL",
                "CLAUDE_CODE_MAX_RETRIES",
                "CLAUDE_CODE_MAX_OUTPUT_TOKENS",
                "API_TIMEOUT_MS",
            ],
        }
    }

    fn login(&self, look: &Look<'_>) -> Login {
        let variable = self.needs().secrets.iter().find(|name| (look.has_variable)(name));
        if let Some(name) = variable {
            return Login::SignedIn((*name).to_owned());
        }
        if (look.has_file)(&look.home.join(".claude/.credentials.json")) {
            return Login::SignedIn("~/.claude/.credentials.json".to_owned());
        }
        // A Mac keeps the token in its keychain, and there is no looking into that.
        if cfg!(target_os = "macos") && (look.has_file)(&look.home.join(".claude.json")) {
            return Login::Unknown;
        }
        Login::SignedOut("run `claude` and sign in with /login, or set ANTHROPIC_API_KEY".to_owned())
    }

    fn install(&self) -> &'static str {
        "npm install -g @anthropic-ai/claude-code (needs Node.js 22 or newer)"
    }
}

#[cfg(test)]
mod tests;
