//! Qwen Code (`qwen`): speaks as Claude Code does, says of its API's errors nothing but their text, and waits without a word
//! for a rate limit to be over, of which only its own log file tells.

use nexus_core::attempt::ExitStatus;
use nexus_core::department::Approval;
use nexus_core::event::Failure;
use nexus_core::run::{Ending, Reset, Said, TroubleKind};
use serde_json::json;

use crate::adapter::{Adapter, Brief, Launch, Login, Look, Needs, Reader, SideFile, command_line};
use crate::stream_json::{Dialect, StreamJson};
use crate::trouble::{self, PATIENCE};

pub(crate) struct Qwen;

impl Adapter for Qwen {
    fn program(&self) -> &'static str {
        "qwen"
    }

    fn launch(&self, brief: &Brief<'_>) -> Result<Launch, Failure> {
        let (program, mut args) = command_line(brief.spec, self.program());
        let mut arg = |text: &str| args.push(text.to_owned());
        arg("--output-format=stream-json");
        if let Some(model) = &brief.spec.model {
            arg("--model");
            arg(model);
        }
        if let Some(session) = brief.resume {
            arg("--resume");
            arg(session);
        }
        // Where nobody can be asked, it offers its model none of the tools that it would have to ask about.
        arg(match brief.approval {
            Approval::Allow => "--approval-mode=yolo",
            Approval::Ask | Approval::Reject => "--approval-mode=default",
        });
        if brief.approval == Approval::Reject {
            for tool in ["edit", "write_file", "run_shell_command"] {
                arg(&format!("--exclude-tools={tool}"));
            }
        }
        if let Some(tools) = brief.tools {
            let server = json!({ "command": tools.command, "args": tools.args, "trust": true, "timeout": TOOL_MILLIS });
            arg(&format!("--mcp-config={}", json!({ "mcpServers": { tools.name.as_str(): server } })));
        }
        args.extend(brief.spec.args.iter().cloned());
        let mut env = vec![
            ("NO_BROWSER".to_owned(), "true".to_owned()),
            // Otherwise it starts itself again, for a larger heap, and a signal to the first doesn't reach the second.
            ("QWEN_CODE_NO_RELAUNCH".to_owned(), "true".to_owned()),
        ];
        if brief.confined {
            env.push(("QWEN_SANDBOX".to_owned(), "false".to_owned()));
        }
        let side_dir = Some(brief.home_outside.join(".qwen/debug"));
        Ok(Launch { program, args, env, stdin: Some(brief.prompt.to_owned()), side_dir, ..Launch::default() })
    }

    fn reader(&self, _brief: &Brief<'_>) -> Box<dyn Reader> {
        Box::new(QwenReader { stream: StreamJson::new(Dialect::Qwen), session: None })
    }

    fn needs(&self) -> Needs {
        Needs {
            home: &[
                (".qwen/oauth_creds.json", true),
                (".qwen/settings.json", false),
                (".qwen/QWEN.md", false),
                (".qwen/.env", false),
            ],
            hosts: &[
                "chat.qwen.ai:443",
                "portal.qwen.ai:443",
                "dashscope.aliyuncs.com:443",
                "dashscope-intl.aliyuncs.com:443",
                "coding.dashscope.aliyuncs.com:443",
                "coding-intl.dashscope.aliyuncs.com:443",
                "openrouter.ai:443",
                "api.openai.com:443",
            ],
            secrets: &["OPENAI_API_KEY", "DASHSCOPE_API_KEY", "BAILIAN_CODING_PLAN_API_KEY", "OPENROUTER_API_KEY"],
            pass: &["OPENAI_BASE_URL", "OPENAI_MODEL", "QWEN_MODEL", "QWEN_CODE_API_TIMEOUT_MS"],
        }
    }

    fn login(&self, look: &Look<'_>) -> Login {
        if let Some(name) = self.needs().secrets.iter().find(|name| (look.has_variable)(name)) {
            return Login::SignedIn((*name).to_owned());
        }
        if (look.has_file)(&look.home.join(".qwen/oauth_creds.json")) {
            return Login::SignedIn("~/.qwen/oauth_creds.json".to_owned());
        }
        // A key may stand in either, and neither is read here.
        if [".qwen/settings.json", ".qwen/.env"].iter().any(|file| (look.has_file)(&look.home.join(file))) {
            return Login::Unknown;
        }
        Login::SignedOut("run `qwen auth`, or set OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_MODEL".to_owned())
    }

    fn install(&self) -> &'static str {
        "npm install -g @qwen-code/qwen-code (needs Node.js 22 or newer)"
    }
}

/// Longest that a call of the company's tools takes: one of them waits for tasks.
pub(crate) const TOOL_MILLIS: u64 = 60 * 60 * 1000;

/// Requests that were refused in a row, after which a rate limit that says nothing of its end is one of the account.
const REFUSALS: u64 = 5;

struct QwenReader {
    stream: StreamJson,
    session: Option<String>,
}

impl Reader for QwenReader {
    fn line(&mut self, line: &[u8], said: &mut Vec<Said>) {
        let before = said.len();
        self.stream.line(line, said);
        let session = said[before..].iter().find_map(|said| match said {
            Said::Session(session) => Some(session.clone()),
            _ => None,
        });
        self.session = session.or_else(|| self.session.take());
    }

    fn error_line(&mut self, line: &[u8], said: &mut Vec<Said>) {
        self.stream.error_line(line, said);
    }

    /// Its log of the session.
    fn side_file(&self) -> Option<SideFile> {
        Some(SideFile { contains: self.session.clone()?, ends: ".txt" })
    }

    fn side_line(&mut self, line: &[u8], said: &mut Vec<Said>) {
        let line = String::from_utf8_lossy(line);
        let Some((_, retry)) = line.split_once("[RETRY] Attempt ") else { return };
        let digits = retry.find(|c: char| !c.is_ascii_digit()).unwrap_or(retry.len());
        let attempt: u64 = retry[..digits].parse().unwrap_or_default();
        let mut trouble = trouble::trouble(None, retry, None);
        // What the API said, without what it makes of that.
        if let Some((_, words)) = retry.split_once("Error: ") {
            trouble.message = trouble::message(words);
        }
        // It goes on asking every few seconds, whatever it is told.
        let lasts = match trouble.reset {
            Some(Reset::In(delay)) => delay > PATIENCE,
            Some(Reset::At(_)) => true,
            None => attempt >= REFUSALS,
        };
        match trouble.kind {
            TroubleKind::Authentication => said.push(Said::Ended(Ending::Failed(trouble))),
            TroubleKind::RateLimit if lasts => said.push(Said::Ended(Ending::Failed(trouble))),
            _ => said.push(Said::Warning(format!("the model's API refuses: {}", trouble.message))),
        }
    }

    fn finish(&mut self, exit: Option<ExitStatus>, said: &mut Vec<Said>) {
        self.stream.finish(exit, said);
    }
}

#[cfg(test)]
mod tests;
