//! The updates of an agent's turn (`session/update`), in a run's own words.

use std::collections::BTreeMap;

use agent_client_protocol::v1::schema::{
    ContentBlock, ContentChunk, Cost, SessionUpdate, ToolCall, ToolCallContent, ToolCallStatus, ToolCallUpdate,
    ToolKind,
};
use nexus_core::run::{Said, Tokens};
use serde_json::Value;

use crate::machine::Action;

#[cfg(test)]
mod tests;

/// Tools that are remembered; of more the oldest names are forgotten.
const TOOLS: usize = 1024;
/// Characters of what a tool is asked or has answered.
const ABOUT: usize = 300;
/// Bytes of what a person is asked. What is more is counted, so that nobody allows what was not shown without knowing.
const ASKED: usize = 1000;
/// Bytes of the beginning of a message.
const BEGINNING: usize = 2 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Talk {
    /// A message has begun, and under this name where it has one.
    talks: bool,
    message: Option<String>,
    beginning: String,
    /// The last piece of it: its beginning.
    piece: String,
    /// Those that were seen, and whether they run.
    tools: BTreeMap<String, bool>,
    /// Calls of the model so far.
    calls: u32,
    /// The next message is the answer to another call: all that it waited for has ended.
    waited: bool,
    /// Tokens of the calls before this one, and of this one as far as it was told.
    spent: u64,
    this: u64,
    /// Tokens of all its calls, where it tells of each.
    told: Option<Tokens>,
    /// Tokens in its context, when that was told last.
    context: u64,
}

impl Talk {
    pub(crate) fn hear(&mut self, update: SessionUpdate, todo: &mut Vec<Action>) {
        match update {
            SessionUpdate::AgentMessageChunk(chunk) => self.text(chunk, todo),
            SessionUpdate::AgentThoughtChunk(_) => self.model_speaks(todo),
            SessionUpdate::ToolCall(call) => {
                self.model_speaks(todo);
                let status = call.status;
                let update = as_update(call);
                self.begin(&update, todo);
                self.end(&update, Some(status), todo);
            }
            SessionUpdate::ToolCallUpdate(update) => {
                // Some agents say of a tool only how it went.
                self.begin(&update, todo);
                let status = update.fields.status;
                self.end(&update, status, todo);
            }
            SessionUpdate::UsageUpdate(usage) => {
                self.context = usage.used;
                self.this = self.this.max(usage.used);
                self.say_tokens(todo);
                if let Some(cost) = usage.cost.as_ref().and_then(micros) {
                    todo.push(Action::Say(Said::Cost(cost)));
                }
            }
            // Plans, commands, modes, and what isn't known.
            _ => {}
        }
    }

    fn text(&mut self, chunk: ContentChunk, todo: &mut Vec<Action>) {
        let message = chunk.message_id.map(|id| id.to_string());
        let text = match chunk.content {
            ContentBlock::Text(text) => text.text,
            ContentBlock::ResourceLink(link) => link.uri,
            _ => return,
        };
        self.model_speaks(todo);
        if let Some(tokens) = chunk.meta.as_ref().and_then(|meta| of_call(meta.get("usage")?)) {
            self.told = Some(self.told.unwrap_or_default().plus(tokens));
            self.say_tokens(todo);
        }
        if text.is_empty() {
            return;
        }
        if self.talks && message.is_some() && self.message.is_some() && message != self.message {
            self.finish(todo);
        }
        if !self.talks {
            self.beginning.clear();
        }
        if self.beginning.len() < BEGINNING {
            let rest = text.floor_char_boundary(BEGINNING - self.beginning.len());
            self.beginning.push_str(&text[..rest]);
        }
        self.piece = text[..text.floor_char_boundary(BEGINNING)].to_owned();
        (self.talks, self.message) = (true, message);
        todo.push(Action::Say(Said::Text(text)));
    }

    /// The message is complete, if there is one.
    pub(crate) fn finish(&mut self, todo: &mut Vec<Action>) {
        if std::mem::take(&mut self.talks) {
            todo.push(Action::Say(Said::TextEnd));
        }
    }

    /// The beginning of its last message.
    pub(crate) fn last_message(&self) -> &str {
        self.beginning.trim()
    }

    /// A failed call of the model, which some agents tell as if the model had said it; the turn has ended well then.
    pub(crate) fn failed_call(&self) -> Option<(Option<u16>, &str)> {
        [self.piece.trim(), self.last_message()].into_iter().find_map(|text| {
            // Gemini CLI and its kin; and Copilot CLI: `Error: 429 Rate limit reached`, `Error: ... failed (HTTP 401)`.
            if text.starts_with("[API Error") {
                return Some((None, text));
            }
            let rest = text.strip_prefix("Error: ")?;
            let status = |digits: &str| digits.parse().ok().filter(|status| (400..600).contains(status));
            let at_first = rest.split(' ').next().and_then(status);
            let within = || status(rest.split_once("(HTTP ")?.1.split_once(')')?.0);
            Some((Some(at_first.or_else(within)?), rest))
        })
    }

    /// A tool begins, if it hasn't yet: it was allowed, or is told of.
    pub(crate) fn begin(&mut self, tool: &ToolCallUpdate, todo: &mut Vec<Action>) {
        let id = tool.tool_call_id.to_string();
        if self.tools.contains_key(&id) {
            return;
        }
        // Gemini CLI tells of a tool that it asks for only when that has ended: what asks for it is the model's answer.
        self.model_speaks(todo);
        self.finish(todo);
        if self.tools.len() >= TOOLS {
            // Those that have ended, if there are any.
            self.tools.retain(|_, runs| *runs);
            if self.tools.len() >= TOOLS {
                self.tools.clear();
            }
        }
        self.tools.insert(id.clone(), true);
        let (name, about) = names(tool);
        todo.push(Action::Say(Said::ToolStarted { id, name, about }));
    }

    /// Its request is refused: that is an answer to the model too. Some agents say no more of such a tool.
    pub(crate) fn denied(&mut self, todo: &mut Vec<Action>) {
        self.model_speaks(todo);
        self.waited = !self.tools.values().any(|runs| *runs);
    }

    fn end(&mut self, tool: &ToolCallUpdate, status: Option<ToolCallStatus>, todo: &mut Vec<Action>) {
        let ok = match status {
            Some(ToolCallStatus::Completed) => true,
            Some(ToolCallStatus::Failed) => false,
            _ => return,
        };
        let id = tool.tool_call_id.to_string();
        let Some(runs) = self.tools.get_mut(&id) else { return };
        if !std::mem::replace(runs, false) {
            return;
        }
        self.waited = !self.tools.values().any(|runs| *runs);
        let about = if ok { String::new() } else { short(&answered(tool)) };
        todo.push(Action::Say(Said::ToolEnded { id, ok, about }));
    }

    /// The protocol doesn't count calls of the model. Each answer after tools is one's; an agent that runs tools of one answer
    /// one after the other, and tells of each only then, is counted too often, never too seldom.
    fn model_speaks(&mut self, todo: &mut Vec<Action>) {
        if self.calls > 0 && !self.waited {
            return;
        }
        self.waited = false;
        self.calls = self.calls.saturating_add(1);
        todo.push(Action::Say(Said::Turns(self.calls)));
        if self.calls > 1 {
            self.spent = self.spent.saturating_add(self.this);
            self.this = self.context;
            self.say_tokens(todo);
        }
    }

    /// The protocol tells how full the context is: each call of the model was given all of it, or what was in it then.
    fn say_tokens(&self, todo: &mut Vec<Action>) {
        if let Some(tokens) = self.told {
            todo.push(Action::Say(Said::Tokens(tokens)));
            return;
        }
        let input = self.spent.saturating_add(self.this);
        if input > 0 {
            todo.push(Action::Say(Said::Tokens(Tokens { input, output: 0, cached: 0 })));
        }
    }
}

fn as_update(call: ToolCall) -> ToolCallUpdate {
    ToolCallUpdate::from(call)
}

/// The tokens of one call: Qwen Code tells of each call of its model, with an empty piece of text.
fn of_call(usage: &Value) -> Option<Tokens> {
    let tokens = |name: &str| usage.get(name).and_then(Value::as_u64);
    Some(Tokens {
        input: tokens("inputTokens")?,
        output: tokens("outputTokens")?,
        cached: tokens("cachedReadTokens").unwrap_or_default(),
    })
}

/// Dollars, as a budget is in them.
fn micros(cost: &Cost) -> Option<u64> {
    let micros = cost.amount * 1e6;
    if !cost.currency.eq_ignore_ascii_case("USD") || !(0.0..1e15).contains(&micros) {
        return None;
    }
    format!("{micros:.0}").parse().ok()
}

/// A tool's name and what it is about.
fn names(tool: &ToolCallUpdate) -> (String, String) {
    let fields = &tool.fields;
    let title = fields.title.as_deref().unwrap_or_default();
    let input = fields.raw_input.as_ref();
    let of_input = |name: &str| input?.get(name)?.as_str();
    // Of a server's tool, as Codex tells it.
    if let (Some(server), Some(name)) = (of_input("server").or_else(|| of_input("server_name")), of_input("tool")) {
        let about = input.and_then(|input| input.get("arguments")).map(Value::to_string);
        return (format!("{server}.{name}"), short(&about.unwrap_or_default()));
    }
    let kind = match fields.kind.unwrap_or_default() {
        ToolKind::Read => "read",
        ToolKind::Edit => "edit",
        ToolKind::Delete => "delete",
        ToolKind::Move => "move",
        ToolKind::Search => "search",
        ToolKind::Execute => "execute",
        ToolKind::Think => "think",
        ToolKind::Fetch => "fetch",
        ToolKind::SwitchMode => "switch_mode",
        _ => "",
    };
    match (fields.name.as_deref(), kind, title) {
        (Some(name), _, title) => (name.to_owned(), short(title)),
        (None, "", "") => ("tool".to_owned(), String::new()),
        (None, "", title) => (short(title), String::new()),
        (None, kind, title) => (kind.to_owned(), short(title)),
    }
}

/// The subject of a request for permission, in a sentence.
pub(crate) fn words(tool: &ToolCallUpdate) -> String {
    let (name, about) = names(tool);
    let title = tool.fields.title.clone().unwrap_or_else(|| format!("{name} {about}").trim().to_owned());
    let why = content(tool);
    let why = why.lines().next().unwrap_or_default().trim();
    let files: Vec<_> = tool.fields.locations.iter().flatten().map(|place| place.path.display().to_string()).collect();
    let mut words = title;
    for more in files.iter().map(String::as_str).chain((!why.is_empty()).then_some(why)) {
        if !words.contains(more) {
            words = format!("{words} - {more}");
        }
    }
    shown(&words)
}

/// In one line; where it is cut, that is said.
fn shown(words: &str) -> String {
    let words: String = words.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if words.len() <= ASKED {
        return words;
    }
    let (shown, rest) = words.split_at(words.floor_char_boundary(ASKED));
    format!("{shown}... (and {} characters more, which are not shown)", rest.chars().count())
}

fn content(tool: &ToolCallUpdate) -> String {
    let texts = tool.fields.content.iter().flatten().filter_map(|content| match content {
        ToolCallContent::Content(content) => match &content.content {
            ContentBlock::Text(text) => Some(text.text.as_str()),
            _ => None,
        },
        _ => None,
    });
    texts.collect::<Vec<_>>().join(" ")
}

/// Why a tool failed.
fn answered(tool: &ToolCallUpdate) -> String {
    let said = content(tool);
    if !said.is_empty() {
        return said;
    }
    match &tool.fields.raw_output {
        Some(Value::String(text)) => text.clone(),
        Some(output) => {
            let named = ["message", "error", "stderr", "aggregated_output"];
            let mut found = named.iter().filter_map(|name| output.get(name)?.as_str()).filter(|text| !text.is_empty());
            found.next().map_or_else(|| output.to_string(), str::to_owned)
        }
        None => String::new(),
    }
}

fn short(text: &str) -> String {
    text.trim().chars().take(ABOUT).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
