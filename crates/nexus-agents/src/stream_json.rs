//! The stream of Claude Code, and of Qwen Code, which speaks the same with differences: one JSON message a line.

use jiff::Timestamp;
use nexus_core::attempt::ExitStatus;
use nexus_core::run::{Ending, Reset, Said, Tokens, Trouble, TroubleKind};
use serde_json::Value;

use crate::adapter::Reader;
use crate::json::{self, about, count, each, first_line, fraction, is, status, text};
use crate::tail::Tail;
use crate::trouble::{self, PATIENCE};

mod ending;
pub(crate) mod usage;

use usage::Usage;

/// Whose stream it is, where that makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Claude,
    Qwen,
}

/// The beginning of an error of the API that qwen passes on as if its model had said it.
const API_ERROR: &str = "[API Error:";
/// Claude's "model" of messages that no model has said.
const SYNTHETIC: &str = "<synthetic>";

/// The state of the stream so far.
#[derive(Debug)]
pub(crate) struct StreamJson {
    dialect: Dialect,
    usage: Usage,
    /// Main messages whose text came in pieces already: the newest.
    streamed: String,
    /// The message that pieces belong to now, of the agent itself and of its newest sub-agent.
    current: [String; 2],
    /// A message's text has begun and not ended.
    speaking: bool,
    spoken: bool,
    ended: bool,
    /// The error in the newest message of the main agent, if that is one.
    error: Option<Trouble>,
    /// Of the account, from a message about it.
    reset: Option<Reset>,
    /// The newest time that the stream has told.
    now: Option<Timestamp>,
    /// It signed in by a subscription, whose token it renews by itself.
    renews: bool,
    tail: Tail,
}

impl StreamJson {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            usage: Usage::default(),
            streamed: String::new(),
            current: Default::default(),
            speaking: false,
            spoken: false,
            ended: false,
            error: None,
            reset: None,
            now: None,
            renews: false,
            tail: Tail::default(),
        }
    }

    fn system(&mut self, message: &Value, said: &mut Vec<Said>) {
        match text(message, "/subtype") {
            "init" => {
                self.renews = matches!(text(message, "/apiKeySource"), "none" | "oauth");
                said.push(Said::Session(text(message, "/session_id").to_owned()));
                said.push(Said::Model(text(message, "/model").to_owned()));
                for server in each(message, "/mcp_servers") {
                    let (name, state) = (text(server, "/name"), text(server, "/status"));
                    if matches!(state, "failed" | "needs-auth") {
                        said.push(Said::Warning(format!("its MCP server {name} is not there: {state}")));
                    }
                }
            }
            "api_retry" => self.retry(message, said),
            "hook_response" if text(message, "/outcome") == "error" => {
                let (name, why) = (text(message, "/hook_name"), first_line(text(message, "/stderr")));
                said.push(Said::Warning(format!("its hook {name} failed: {why}")));
            }
            _ => {}
        }
    }

    /// The API has refused a request, and it is about to be sent again.
    fn retry(&mut self, message: &Value, said: &mut Vec<Said>) {
        let (status, word) = (status(message, "/error_status"), text(message, "/error"));
        let (attempt, millis) = (count(message, "/attempt"), fraction(message, "/retry_delay_ms").unwrap_or_default());
        let delay = std::time::Duration::try_from_secs_f64(millis / 1000.0).unwrap_or_default();
        let kind = ending::kind(word).unwrap_or_else(|| trouble::classify(status, word));
        let code = status.map(|status| format!(" ({status})")).unwrap_or_default();
        let why = format!("the model's API refuses: {}{code}", word.replace('_', " "));
        match kind {
            // An expired token of a subscription is renewed before the second request.
            TroubleKind::Authentication if self.renews && attempt <= 1 => {}
            TroubleKind::Authentication => return self.fail(Trouble::new(kind, why), said),
            TroubleKind::RateLimit if delay > PATIENCE => {
                let reset = self.reset.or(Some(Reset::In(delay)));
                return self.fail(Trouble { reset, ..Trouble::new(kind, why) }, said);
            }
            _ => {}
        }
        said.push(Said::Warning(format!("{why}; it asks again in {:.0} s", delay.as_secs_f64())));
    }

    fn rate_limit(&mut self, info: &Value, said: &mut Vec<Said>) {
        let reset = info["resetsAt"].as_i64().and_then(|second| Timestamp::from_second(second).ok());
        let window = text(info, "/rateLimitType").replace('_', " ");
        match text(info, "/status") {
            "rejected" if !is(info, "/isUsingOverage") => {
                self.reset = reset.map(Reset::At).or(self.reset);
                said.push(Said::Warning(format!("the {window} limit of its account is reached")));
            }
            "allowed_warning" => {
                let used = fraction(info, "/utilization").map(|used| format!(" ({:.0} % used)", used * 100.0));
                let used = used.unwrap_or_default();
                said.push(Said::Warning(format!("the {window} limit of its account is near{used}")));
            }
            _ => {}
        }
    }

    /// Pieces of a message, where they were asked for.
    fn event(&mut self, message: &Value, said: &mut Vec<Said>) {
        let event = &message["event"];
        let main = message["parent_tool_use_id"].is_null();
        let current = usize::from(!main);
        match text(event, "/type") {
            "message_start" => {
                if main {
                    self.silence(said);
                }
                text(event, "/message/id").clone_into(&mut self.current[current]);
                let tokens = self.tokens(&event["message"]["usage"]);
                self.usage.of(&self.current[current], tokens, said);
            }
            "content_block_delta" if main && text(event, "/delta/type") == "text_delta" => {
                self.current[0].clone_into(&mut self.streamed);
                self.say(text(event, "/delta/text"), said);
            }
            // Its figures are the message's own, and cumulative; what isn't told is as it was.
            "message_delta" => {
                let tokens = self.tokens(&event["usage"]);
                self.usage.of(&self.current[current], tokens, said);
            }
            "message_stop" if main => self.silence(said),
            _ => {}
        }
    }

    fn assistant(&mut self, message: &Value, said: &mut Vec<Said>) {
        let main = message["parent_tool_use_id"].is_null();
        let inner = &message["message"];
        let id = text(inner, "/id");
        let tokens = self.tokens(&inner["usage"]);
        self.usage.of(id, tokens, said);
        if main && self.is_error(message, tokens) {
            return self.hear_error(message, said);
        }
        let streamed = !id.is_empty() && self.streamed == id;
        for block in each(inner, "/content") {
            match text(block, "/type") {
                "text" if main && !streamed => {
                    self.say(text(block, "/text"), said);
                    self.silence(said);
                }
                "tool_use" | "server_tool_use" => said.push(Said::ToolStarted {
                    id: text(block, "/id").to_owned(),
                    name: text(block, "/name").to_owned(),
                    about: about(&block["input"]),
                }),
                _ => {}
            }
        }
    }

    /// No model has said this: the program did, of an error.
    fn is_error(&self, message: &Value, tokens: Tokens) -> bool {
        match self.dialect {
            Dialect::Claude => {
                text(message, "/message/model") == SYNTHETIC
                    && (message["error"].is_string() || ending::is_told(message))
            }
            Dialect::Qwen => tokens.output == 0 && ending::said(message).starts_with(API_ERROR),
        }
    }

    fn hear_error(&mut self, message: &Value, said: &mut Vec<Said>) {
        let told = ending::said(message);
        let trouble = self.trouble(None, ending::kind(text(message, "/error")), &told);
        // A result follows; but one of its account must not wait for it.
        if trouble.is_of_account() {
            return self.fail(trouble, said);
        }
        self.error = Some(trouble);
    }

    fn user(&mut self, message: &Value, said: &mut Vec<Said>) {
        if let Ok(now) = text(message, "/timestamp").parse() {
            self.now = Some(now);
        }
        for block in each(message, "/message/content") {
            if text(block, "/type") == "tool_result" {
                let ok = !is(block, "/is_error");
                let why = || block["content"].as_str().map_or_else(|| ending::joined(&block["content"]), str::to_owned);
                said.push(Said::ToolEnded {
                    id: text(block, "/tool_use_id").to_owned(),
                    ok,
                    about: if ok { String::new() } else { first_line(&why()) },
                });
            }
        }
    }

    fn say(&mut self, text: &str, said: &mut Vec<Said>) {
        if !text.is_empty() {
            (self.speaking, self.spoken) = (true, true);
            said.push(Said::Text(text.to_owned()));
        }
    }

    fn silence(&mut self, said: &mut Vec<Said>) {
        if std::mem::take(&mut self.speaking) {
            said.push(Said::TextEnd);
        }
    }

    fn fail(&mut self, trouble: Trouble, said: &mut Vec<Said>) {
        self.end(Ending::Failed(trouble), said);
    }

    fn end(&mut self, ending: Ending, said: &mut Vec<Said>) {
        self.ended = true;
        said.push(Said::Ended(ending));
    }

    /// An error by its status, by the program's own word for it, and by what it says.
    fn trouble(&self, status: Option<u16>, kind: Option<TroubleKind>, told: &str) -> Trouble {
        let mut trouble = trouble::trouble(status, told, self.now);
        let by_words = trouble.kind;
        trouble.kind = match kind {
            // Its words say more: no credit is a bad request, and a limit may be one of money.
            Some(TroubleKind::Model) | None => by_words,
            Some(TroubleKind::RateLimit) if by_words == TroubleKind::Authentication => by_words,
            Some(kind) => kind,
        };
        if trouble.kind == TroubleKind::RateLimit {
            trouble.reset = trouble.reset.or_else(|| trouble::reset(told, self.now)).or(self.reset);
        }
        trouble
    }

    /// Claude's input leaves out what came from its cache or went there, qwen's is all of it.
    fn tokens(&self, usage: &Value) -> Tokens {
        let (input, cached) = (count(usage, "/input_tokens"), count(usage, "/cache_read_input_tokens"));
        let beside = match self.dialect {
            Dialect::Claude => cached.saturating_add(count(usage, "/cache_creation_input_tokens")),
            Dialect::Qwen => 0,
        };
        Tokens { input: input.saturating_add(beside), output: count(usage, "/output_tokens"), cached }
    }
}

impl Reader for StreamJson {
    fn line(&mut self, line: &[u8], said: &mut Vec<Said>) {
        let Some((kind, message)) = json::message(line) else {
            let plain = self.tail.push(line);
            if !plain.trim().is_empty() {
                said.push(Said::Plain(plain));
            }
            return;
        };
        match kind.as_str() {
            "system" => self.system(&message, said),
            "stream_event" => self.event(&message, said),
            "assistant" => self.assistant(&message, said),
            "user" => self.user(&message, said),
            "rate_limit_event" => self.rate_limit(&message["rate_limit_info"], said),
            "result" => self.result(&message, said),
            _ => {}
        }
    }

    fn error_line(&mut self, line: &[u8], _said: &mut Vec<Said>) {
        self.tail.push(line);
    }

    fn finish(&mut self, exit: Option<ExitStatus>, said: &mut Vec<Said>) {
        self.silence(said);
        if self.ended {
            return;
        }
        match self.error.take() {
            Some(error) => self.fail(error, said),
            None => self.tail.conclude(exit, said),
        }
    }
}

#[cfg(test)]
mod tests;
