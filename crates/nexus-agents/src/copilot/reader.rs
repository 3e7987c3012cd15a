//! The output of `copilot --output-format json`, and of the `events.jsonl` that its session writes meanwhile.

use std::collections::{HashMap, HashSet};

use nexus_core::attempt::ExitStatus;
use nexus_core::run::{Ending, Said, Tokens, Trouble, TroubleKind};
use serde_json::Value;

use crate::adapter::{Reader, SideFile};
use crate::json::{about, message, number, plain, short, status, text, uncoloured};
use crate::trouble;

#[derive(Debug)]
pub(crate) struct CopilotReader {
    session: String,
    told: bool,
    model: Option<String>,
    /// The message whose pieces have been said.
    saying: String,
    turns: u32,
    /// Tools that run: what each is to do.
    running: HashMap<String, String>,
    calls: HashSet<String>,
    spent: Tokens,
    /// The latest error of the model's API: it says more than the agent does.
    answer: String,
    aborted: bool,
    ended: bool,
    error: Option<String>,
}

impl CopilotReader {
    pub(crate) fn new(session: String) -> Self {
        Self {
            session,
            told: false,
            model: None,
            saying: String::new(),
            turns: 0,
            running: HashMap::new(),
            calls: HashSet::new(),
            spent: Tokens::default(),
            answer: String::new(),
            aborted: false,
            ended: false,
            error: None,
        }
    }

    fn model(&mut self, model: &str, said: &mut Vec<Said>) {
        if !model.is_empty() && self.model.as_deref() != Some(model) {
            self.model = Some(model.to_owned());
            said.push(Said::Model(model.to_owned()));
        }
    }

    fn event(&mut self, kind: &str, data: &Value, said: &mut Vec<Said>) {
        match kind {
            "session.tools_updated" | "model.call_start" => self.model(text(data, "/model"), said),
            // What an agent of its own says is for itself.
            "assistant.message_delta" | "assistant.message" if !text(data, "/parentToolCallId").is_empty() => {}
            "assistant.message_delta" => {
                text(data, "/messageId").clone_into(&mut self.saying);
                said.push(Said::Text(text(data, "/deltaContent").to_owned()));
            }
            "assistant.message" => {
                let content = text(data, "/content");
                if self.saying != text(data, "/messageId") && !content.is_empty() {
                    said.push(Said::Text(content.to_owned()));
                }
                if !content.is_empty() {
                    said.push(Said::TextEnd);
                }
            }
            "model.call_finished" if text(data, "/outcome") == "success" => {
                self.turns = self.turns.saturating_add(1);
                said.push(Said::Turns(self.turns));
            }
            "tool.execution_start" => {
                let (id, name) = (text(data, "/toolCallId").to_owned(), tool(data));
                let about = data.get("arguments").map(about).unwrap_or_default();
                self.running.insert(id.clone(), format!("{name} {about}").trim().to_owned());
                said.push(Said::ToolStarted { id, name, about });
            }
            "tool.execution_complete" => self.tool_ended(data, said),
            "model.call_failure" => self.call_failure(data, said),
            "session.warning" => said.push(Said::Warning(text(data, "/message").to_owned())),
            "session.error" => self.session_error(data, said),
            "abort" => self.aborted = true,
            "assistant.idle" => self.aborted |= data.get("aborted") == Some(&Value::Bool(true)),
            _ => {}
        }
    }

    fn tool_ended(&mut self, data: &Value, said: &mut Vec<Said>) {
        let running = self.running.remove(text(data, "/toolCallId"));
        let code = data.pointer("/shellExecution/exitCode").and_then(Value::as_i64).unwrap_or(0);
        let succeeded = data.get("success").and_then(Value::as_bool).unwrap_or(false);
        let error = text(data, "/error/message");
        if matches!(text(data, "/error/code"), "denied" | "rejected") {
            said.push(Said::Asked {
                question: None,
                what: running.unwrap_or_else(|| error.to_owned()),
                allowed: false,
            });
        }
        let about = match code {
            _ if !error.is_empty() => short(error),
            0 => String::new(),
            code => format!("exit code {code}"),
        };
        said.push(Said::ToolEnded { id: text(data, "/toolCallId").to_owned(), ok: succeeded && code == 0, about });
    }

    /// It tries again after some of these, and says so itself when it gives up.
    fn call_failure(&mut self, data: &Value, said: &mut Vec<Said>) {
        text(data, "/errorMessage").clone_into(&mut self.answer);
        let inner = serde_json::from_str::<Value>(&self.answer).unwrap_or_default();
        let words = Some(text(&inner, "/message")).filter(|words| !words.is_empty()).unwrap_or(&self.answer);
        let status = number(data, "/statusCode").map(|status| format!(" {status}")).unwrap_or_default();
        said.push(Said::Warning(format!("the model's API answered{status}: {}", short(words))));
    }

    fn session_error(&mut self, data: &Value, said: &mut Vec<Said>) {
        let words = text(data, "/message");
        let mut trouble = trouble::trouble(status(data, "/statusCode"), words, None);
        match text(data, "/errorType") {
            "authentication" | "authorization" => trouble.kind = TroubleKind::Authentication,
            "rate_limit" | "quota" => trouble.kind = TroubleKind::RateLimit,
            "context_limit" => trouble.kind = TroubleKind::Limit,
            _ => {}
        }
        if trouble.kind == TroubleKind::RateLimit {
            trouble.reset = trouble::reset(&self.answer, None).or_else(|| trouble::reset(words, None));
        }
        self.ended = true;
        said.push(Said::Ended(Ending::Failed(trouble)));
    }

    fn result(&mut self, value: &Value, said: &mut Vec<Said>) {
        self.ended = true;
        let crash = |words: String| Ending::Failed(Trouble::new(TroubleKind::Crash, words));
        said.push(Said::Ended(match value.get("exitCode").and_then(Value::as_i64) {
            Some(0) if self.aborted => crash("its run was broken off".to_owned()),
            Some(0) => Ending::Done,
            Some(code) => crash(format!("it says that it ended with exit code {code}")),
            None => Ending::Failed(Trouble::new(TroubleKind::Protocol, "its result has no exit code")),
        }));
    }
}

impl Reader for CopilotReader {
    fn line(&mut self, line: &[u8], said: &mut Vec<Said>) {
        let Some((kind, value)) = message(line) else { return said.push(Said::Plain(plain(line))) };
        if !self.told {
            self.told = true;
            said.push(Said::Session(self.session.clone()));
        }
        if kind == "result" {
            self.result(&value, said);
        } else {
            self.event(&kind, value.get("data").unwrap_or(&Value::Null), said);
        }
    }

    fn error_line(&mut self, line: &[u8], _said: &mut Vec<Said>) {
        let line = uncoloured(line);
        if let Some(words) = line.trim().strip_prefix("Error: ") {
            self.error = Some(words.to_owned());
        }
    }

    fn side_file(&self) -> Option<SideFile> {
        Some(SideFile { contains: self.session.clone(), ends: "events.jsonl" })
    }

    fn side_line(&mut self, line: &[u8], said: &mut Vec<Said>) {
        let Some((kind, value)) = message(line) else { return };
        let Some(usage) = value.pointer("/data/usage").filter(|_| kind == "session.usage_record") else { return };
        // Events have ids of their own, where the provider gives none to a call.
        let call = [text(usage, "/accounting/usageId"), text(usage, "/apiCallId"), text(&value, "/id")];
        let call = call.into_iter().find(|id| !id.is_empty()).unwrap_or_default();
        if !self.calls.insert(call.to_owned()) {
            return;
        }
        let figure = |name: &str| number(usage, name).unwrap_or(0);
        self.spent = self.spent.plus(Tokens {
            input: figure("/inputTokens"),
            output: figure("/outputTokens"),
            cached: figure("/cacheReadTokens"),
        });
        said.push(Said::Tokens(self.spent));
        said.push(Said::Turns(u32::try_from(self.calls.len()).unwrap_or(u32::MAX)));
    }

    fn finish(&mut self, exit: Option<ExitStatus>, said: &mut Vec<Said>) {
        let failed = !self.ended && !matches!(exit, Some(ExitStatus::Code(0)) | None);
        if let Some(words) = self.error.take().filter(|_| failed) {
            let trouble = trouble::trouble(None, &words, None);
            let kind = if trouble.is_of_account() { trouble.kind } else { TroubleKind::Crash };
            said.push(Said::Ended(Ending::Failed(Trouble { kind, ..trouble })));
        }
    }
}

/// The name of a tool: those of servers as `server.tool`.
fn tool(data: &Value) -> String {
    match (text(data, "/mcpServerName"), text(data, "/mcpToolName")) {
        ("", _) | (_, "") => text(data, "/toolName").to_owned(),
        (server, tool) => format!("{server}.{tool}"),
    }
}
