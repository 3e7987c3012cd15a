//! The output of `codex exec --json`, and of the rollout file that it writes meanwhile.
//!
//! The stream counts tokens at the end only, and then those of the whole session, former runs included. The rollout has a
//! record of each call of the model: those of this run are summed, and the first one says what was there before.

use std::collections::HashSet;

use nexus_core::attempt::ExitStatus;
use nexus_core::run::{Ending, Reset, Said, Tokens, Trouble, TroubleKind};
use serde_json::Value;

use crate::adapter::{Reader, SideFile};
use crate::json::{about, message, number, plain, short, text, uncoloured};
use crate::trouble::{self, PATIENCE};

#[derive(Debug, Default)]
pub(crate) struct CodexReader {
    resumed: bool,
    thread: Option<String>,
    model: Option<String>,
    /// Items that have been said to have begun.
    begun: HashSet<String>,
    /// Calls of the model in this run, by the answers' ids.
    calls: HashSet<String>,
    /// The sum of their spending.
    summed: Tokens,
    /// The session's spending before this run, once the rollout has told.
    before: Option<Tokens>,
    /// The session's spending, as the stream says.
    whole: Option<Tokens>,
    /// When the windows of the account that are used up are over.
    reset: Option<Reset>,
    limited: Option<Trouble>,
    /// The last thing that looked like the reason of an end.
    error: Option<String>,
    ended: bool,
}

impl CodexReader {
    pub(crate) fn new(resume: Option<&str>) -> Self {
        let before = resume.is_none().then(Tokens::default);
        Self { resumed: resume.is_some(), thread: resume.map(str::to_owned), before, ..Self::default() }
    }

    fn item(&mut self, event: &str, item: &Value, said: &mut Vec<Said>) {
        let over = event == "item.completed";
        match text(item, "/type") {
            "agent_message" if over => {
                said.push(Said::Text(text(item, "/text").to_owned()));
                said.push(Said::TextEnd);
            }
            "error" if over => said.push(Said::Warning(text(item, "/message").to_owned())),
            "command_execution" | "mcp_tool_call" | "file_change" | "web_search" | "collab_tool_call" => {
                self.tool(over, item, said);
            }
            _ => {}
        }
    }

    fn tool(&mut self, over: bool, item: &Value, said: &mut Vec<Said>) {
        let id = text(item, "/id").to_owned();
        let (name, about) = call(item);
        // Some are told of only when they are over.
        if self.begun.insert(id.clone()) {
            said.push(Said::ToolStarted { id: id.clone(), name: name.clone(), about: about.clone() });
        }
        if !over {
            return;
        }
        self.begun.remove(&id);
        let status = text(item, "/status");
        if status == "declined" {
            said.push(Said::Asked {
                question: None,
                what: format!("{name} {about}").trim().to_owned(),
                allowed: false,
            });
        }
        let code = item.get("exit_code").and_then(Value::as_i64);
        let error = text(item, "/error/message");
        let ok = matches!(status, "completed" | "") && code.unwrap_or(0) == 0 && error.is_empty();
        let about = match code {
            _ if ok => String::new(),
            _ if !error.is_empty() => short(error),
            Some(code) => short(format!("exit code {code} {}", last_line(text(item, "/aggregated_output"))).trim_end()),
            None => status.to_owned(),
        };
        said.push(Said::ToolEnded { id, ok, about });
    }

    /// `error`: a pause before it tries again, or what it fails of.
    fn error(&mut self, words: &str, said: &mut Vec<Said>) {
        let Some(cause) = words.strip_prefix("Reconnecting...") else {
            self.error = Some(words.to_owned());
            return self.account(words, said);
        };
        said.push(Said::Warning(words.to_owned()));
        // It tries a key that isn't accepted five times more. A limit it waits for: how long, its log says.
        if trouble(cause).kind == TroubleKind::Authentication {
            self.fail(trouble(inner(cause)), said);
        }
    }

    /// Says what is of the account at once.
    fn account(&mut self, words: &str, said: &mut Vec<Said>) {
        let trouble = trouble(words);
        if trouble.is_of_account() {
            self.fail(trouble, said);
        }
    }

    fn fail(&mut self, mut trouble: Trouble, said: &mut Vec<Said>) {
        if trouble.kind == TroubleKind::RateLimit {
            trouble.reset = trouble.reset.or(self.reset);
            self.limited = Some(trouble.clone());
        }
        self.ended = true;
        said.push(Said::Ended(Ending::Failed(trouble)));
    }

    fn completed(&mut self, usage: &Value, said: &mut Vec<Said>) {
        self.whole = tokens(usage);
        // Of a session that goes on, the rollout has to tell first what was there before.
        if !self.resumed {
            self.total(said);
        }
        self.ended = true;
        said.push(Said::Ended(Ending::Done));
    }

    /// The spending of this run, by that of the session: the stream may be ahead of the rollout, or the rollout be missing.
    fn total(&self, said: &mut Vec<Said>) {
        let Some(whole) = self.whole else { return };
        // If nothing tells what was there before, too much is better than nothing: a budget holds.
        said.push(Said::Tokens(minus(whole, self.before.unwrap_or_default())));
        if self.calls.is_empty() {
            said.push(Said::Turns(1));
        }
    }

    /// One call of the model, right after it.
    fn call(&mut self, payload: &Value, said: &mut Vec<Said>) {
        let (Some(usage), id) = (payload.get("usage").and_then(tokens), text(payload, "/response_id")) else { return };
        if !self.calls.insert(id.to_owned()) {
            return;
        }
        if self.before.is_none() {
            let whole = payload.get("thread_token_usage").and_then(tokens);
            self.before = whole.map(|whole| minus(whole, usage));
        }
        self.summed = self.summed.plus(usage);
        said.push(Said::Tokens(self.summed));
        said.push(Said::Turns(u32::try_from(self.calls.len()).unwrap_or(u32::MAX)));
    }

    /// The account's windows, and the session's total, which versions have that keep no records of calls.
    fn count(&mut self, payload: &Value, said: &mut Vec<Said>) {
        let windows = ["/rate_limits/primary", "/rate_limits/secondary"].map(|window| payload.pointer(window));
        let used_up =
            |window: &&Value| window.get("used_percent").and_then(Value::as_f64).is_some_and(|used| used >= 99.5);
        let resets = windows
            .into_iter()
            .flatten()
            .filter(used_up)
            .filter_map(|window| trouble::reset(&window.to_string(), None));
        self.reset = resets.max_by_key(|reset| reset.at(jiff::Timestamp::UNIX_EPOCH)).or(self.reset);
        let (Some(whole), true) = (payload.pointer("/info/total_token_usage").and_then(tokens), self.calls.is_empty())
        else {
            return;
        };
        let last = payload.pointer("/info/last_token_usage").and_then(tokens).unwrap_or_default();
        let before = *self.before.get_or_insert_with(|| minus(whole, last));
        said.push(Said::Tokens(minus(whole, before)));
    }
}

impl Reader for CodexReader {
    fn line(&mut self, line: &[u8], said: &mut Vec<Said>) {
        let Some((kind, value)) = message(line) else { return said.push(Said::Plain(plain(line))) };
        match kind.as_str() {
            "thread.started" => {
                let thread = text(&value, "/thread_id");
                if !thread.is_empty() {
                    self.thread = Some(thread.to_owned());
                    said.push(Said::Session(thread.to_owned()));
                }
            }
            "item.started" | "item.updated" | "item.completed" => {
                if let Some(item) = value.get("item") {
                    self.item(&kind, item, said);
                }
            }
            "turn.completed" => self.completed(value.get("usage").unwrap_or(&Value::Null), said),
            "turn.failed" => {
                let words = text(&value, "/error/message");
                let words = if words.is_empty() { "its turn failed, and it doesn't say why" } else { words };
                self.fail(trouble(words), said);
            }
            "error" => self.error(text(&value, "/message"), said),
            _ => {}
        }
    }

    fn error_line(&mut self, line: &[u8], said: &mut Vec<Said>) {
        let line = uncoloured(line);
        if let Some(words) = line.strip_prefix("Error: ") {
            self.error = Some(words.to_owned());
        }
        if self.ended || !line.contains("retrying sampling request") {
            return;
        }
        // "... (1/5 in 299.9s)... sampling_error=exceeded retry limit, last status: 429 Too Many Requests"
        let Some((_, cause)) = line.split_once("sampling_error=") else { return };
        let pause = line.split_once(" in ").and_then(|(_, rest)| trouble::duration(rest)).unwrap_or_default();
        let trouble = trouble(cause);
        if trouble.kind == TroubleKind::RateLimit && pause > PATIENCE {
            self.fail(Trouble { reset: Some(Reset::In(pause)), ..trouble }, said);
        }
    }

    fn side_file(&self) -> Option<SideFile> {
        self.thread.as_ref().map(|thread| SideFile { contains: thread.clone(), ends: ".jsonl" })
    }

    fn side_line(&mut self, line: &[u8], said: &mut Vec<Said>) {
        let Some((kind, value)) = message(line) else { return };
        let Some(payload) = value.get("payload") else { return };
        match (kind.as_str(), text(payload, "/type")) {
            ("token_usage_record", _) => self.call(payload, said),
            ("event_msg", "token_count") => self.count(payload, said),
            ("turn_context", _) => {
                let model = text(payload, "/model");
                if !model.is_empty() && self.model.as_deref() != Some(model) {
                    self.model = Some(model.to_owned());
                    said.push(Said::Model(model.to_owned()));
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self, _exit: Option<ExitStatus>, said: &mut Vec<Said>) {
        if self.resumed {
            self.total(said);
        }
        // The stream is quicker than the file that knows when the limit is over.
        if let Some(limited) = self.limited.take().filter(|limited| limited.reset.is_none() && self.reset.is_some()) {
            said.push(Said::Ended(Ending::Failed(Trouble { reset: self.reset, ..limited })));
        }
        if let Some(words) = self.error.take().filter(|_| !self.ended) {
            let trouble = trouble(&words);
            let kind = if trouble.is_of_account() { trouble.kind } else { TroubleKind::Crash };
            self.fail(Trouble { kind, ..trouble }, said);
        }
    }
}

/// The trouble behind an error: its own words include one that the APIs don't have.
fn trouble(words: &str) -> Trouble {
    let trouble = trouble::trouble(None, words, None);
    // The key that its provider's settings name.
    let kind =
        if words.starts_with("Missing environment variable") { TroubleKind::Authentication } else { trouble.kind };
    Trouble { kind, ..trouble }
}

/// A command without the shell that each is given to.
fn script(command: &str) -> &str {
    let Some((_, script)) = command.split_once(" -lc ").filter(|(shell, _)| !shell.contains(' ')) else {
        return command;
    };
    let within = |quote: char| script.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    within('\'').or_else(|| within('"')).unwrap_or(script)
}

/// The name of a tool, and its task.
fn call(item: &Value) -> (String, String) {
    match text(item, "/type") {
        "command_execution" => ("shell".to_owned(), short(script(text(item, "/command")))),
        "mcp_tool_call" => {
            let name = format!("{}.{}", text(item, "/server"), text(item, "/tool"));
            (name, item.get("arguments").map(about).unwrap_or_default())
        }
        "file_change" => {
            let changes = item.get("changes").and_then(Value::as_array);
            let paths = changes.into_iter().flatten().map(|change| text(change, "/path"));
            ("apply_patch".to_owned(), short(&paths.collect::<Vec<_>>().join(" ")))
        }
        kind => (kind.to_owned(), about(item)),
    }
}

/// `{"input_tokens":..,"cached_input_tokens":..,"output_tokens":..}`; what came from the cache is part of the input.
fn tokens(usage: &Value) -> Option<Tokens> {
    let (input, output) = (number(usage, "/input_tokens"), number(usage, "/output_tokens"));
    if input.is_none() && output.is_none() {
        return None;
    }
    let cached = number(usage, "/cached_input_tokens").unwrap_or(0);
    Some(Tokens { input: input.unwrap_or(0), output: output.unwrap_or(0), cached })
}

const fn minus(all: Tokens, part: Tokens) -> Tokens {
    Tokens {
        input: all.input.saturating_sub(part.input),
        output: all.output.saturating_sub(part.output),
        cached: all.cached.saturating_sub(part.cached),
    }
}

/// "1/5 (why)" without what is around the reason.
fn inner(cause: &str) -> &str {
    cause.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).map_or(cause, |(inner, _)| inner)
}

fn last_line(output: &str) -> &str {
    output.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default()
}
