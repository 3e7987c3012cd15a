//! The output of `opencode run --format json`. No event of it says that the run is over: its exit does, where nothing speaks
//! against it.

use std::collections::HashSet;

use nexus_core::attempt::ExitStatus;
use nexus_core::run::{Ending, Reset, Said, Tokens, Trouble, TroubleKind};
use serde_json::Value;

use crate::adapter::Reader;
use crate::json::{about, message, number, plain, short, status, text, uncoloured};
use crate::trouble::{self, PATIENCE};

#[derive(Debug, Default)]
pub(crate) struct OpencodeReader {
    /// It doesn't say which model it uses: the one that it was told to.
    model: Option<String>,
    session: Option<String>,
    /// Parts that have been counted.
    steps: HashSet<String>,
    spent: Tokens,
    cost: u64,
    /// Why the last step ended; none while one goes on, or before the first.
    reason: Option<String>,
    ended: bool,
    error: Option<String>,
}

impl OpencodeReader {
    pub(crate) fn new(model: Option<String>) -> Self {
        Self { model, ..Self::default() }
    }

    fn tool(part: &Value, said: &mut Vec<Said>) {
        let id = text(part, "/callID").to_owned();
        let input = part.pointer("/state/input").map(about).unwrap_or_default();
        said.push(Said::ToolStarted { id: id.clone(), name: text(part, "/tool").to_owned(), about: input });
        let code = part.pointer("/state/metadata/exit").and_then(Value::as_i64).unwrap_or(0);
        let ok = text(part, "/state/status") == "completed" && code == 0;
        let about = match code {
            _ if ok => String::new(),
            0 => short(text(part, "/state/error")),
            code => format!("exit code {code}"),
        };
        said.push(Said::ToolEnded { id, ok, about });
    }

    fn step(&mut self, part: &Value, said: &mut Vec<Said>) {
        self.reason = Some(text(part, "/reason").to_owned());
        if !self.steps.insert(text(part, "/id").to_owned()) {
            return;
        }
        self.spent = self.spent.plus(tokens(part));
        said.push(Said::Tokens(self.spent));
        said.push(Said::Turns(u32::try_from(self.steps.len()).unwrap_or(u32::MAX)));
        if let Some(cost) = part.get("cost").and_then(Value::as_f64).filter(|cost| *cost > 0.0) {
            self.cost = self.cost.saturating_add(micros(cost));
            said.push(Said::Cost(self.cost));
        }
    }

    fn error(&mut self, error: &Value, said: &mut Vec<Said>) {
        let name = text(error, "/name");
        let words = Some(text(error, "/data/message")).filter(|words| !words.is_empty()).unwrap_or(name);
        let mut trouble = trouble::trouble(status(error, "/data/statusCode"), words, None);
        match name {
            "ProviderAuthError" => trouble.kind = TroubleKind::Authentication,
            "MessageOutputLengthError" | "ContextOverflowError" => trouble.kind = TroubleKind::Limit,
            _ => {}
        }
        if trouble.kind == TroubleKind::RateLimit {
            let after = text(error, "/data/responseHeaders/retry-after").parse().ok();
            let after = after.map(std::time::Duration::from_secs).map(Reset::In);
            let body = text(error, "/data/responseBody");
            trouble.reset = after.or_else(|| trouble::reset(body, None)).or(trouble.reset);
        }
        self.ended = true;
        said.push(Said::Ended(match name {
            "ContentFilterError" => Ending::Refused(words.to_owned()),
            _ => Ending::Failed(trouble),
        }));
    }
}

impl Reader for OpencodeReader {
    fn line(&mut self, line: &[u8], said: &mut Vec<Said>) {
        let Some((kind, value)) = message(line) else { return said.push(Said::Plain(plain(line))) };
        let session = text(&value, "/sessionID");
        if self.session.is_none() && !session.is_empty() {
            self.session = Some(session.to_owned());
            said.push(Said::Session(session.to_owned()));
            said.extend(self.model.take().map(Said::Model));
        }
        let part = value.get("part").unwrap_or(&Value::Null);
        match kind.as_str() {
            "step_start" => self.reason = None,
            "text" => {
                said.push(Said::Text(text(part, "/text").to_owned()));
                said.push(Said::TextEnd);
            }
            "tool_use" => Self::tool(part, said),
            "step_finish" => self.step(part, said),
            "error" => self.error(value.get("error").unwrap_or(&Value::Null), said),
            _ => {}
        }
    }

    fn error_line(&mut self, line: &[u8], said: &mut Vec<Said>) {
        let line = uncoloured(line);
        if let Some(words) = line.trim().strip_prefix("Error: ") {
            self.error = Some(words.to_owned());
        }
        // Titles are asked for beside the run.
        if self.ended || !line.contains("stream error") || line.contains("small=true") {
            return;
        }
        let words = line.split_once("error.error=").map_or(line.as_str(), |(_, words)| words.trim_matches('"'));
        let trouble = trouble::trouble(None, words, None);
        let long = |reset| matches!(reset, Reset::At(_)) || matches!(reset, Reset::In(pause) if pause > PATIENCE);
        if trouble.kind != TroubleKind::RateLimit {
            return;
        }
        match trouble.reset {
            Some(reset) if long(reset) => {
                self.ended = true;
                said.push(Said::Ended(Ending::Failed(trouble)));
            }
            _ => said.push(Said::Warning(trouble.message)),
        }
    }

    fn finish(&mut self, exit: Option<ExitStatus>, said: &mut Vec<Said>) {
        if self.ended {
            return;
        }
        let ending = match (exit, self.reason.as_deref()) {
            (Some(ExitStatus::Code(0)), Some("length")) => {
                Ending::Failed(Trouble::new(TroubleKind::Limit, "the model's answer was cut at its longest length"))
            }
            (Some(ExitStatus::Code(0)), Some("content-filter")) => {
                Ending::Refused("its provider's filter has stopped the answer".to_owned())
            }
            (Some(ExitStatus::Code(0)), Some("stop" | "unknown" | "other")) => Ending::Done,
            (Some(ExitStatus::Code(0)), Some(reason)) => Ending::Failed(Trouble::new(
                TroubleKind::Protocol,
                format!("it ended in the middle of its work (its last step ended with \"{}\")", short(reason)),
            )),
            (Some(ExitStatus::Code(0)) | None, _) => return,
            (Some(_), _) => {
                let Some(words) = self.error.take() else { return };
                let trouble = trouble::trouble(None, &words, None);
                let kind = if trouble.is_of_account() { trouble.kind } else { TroubleKind::Crash };
                Ending::Failed(Trouble { kind, ..trouble })
            }
        };
        said.push(Said::Ended(ending));
    }
}

/// Its input is without what came from the cache or went there; its output may be without what the model thought, which the
/// total has.
fn tokens(part: &Value) -> Tokens {
    let figure = |name: &str| number(part, name).unwrap_or(0);
    let cached = figure("/tokens/cache/read");
    let input = figure("/tokens/input").saturating_add(cached).saturating_add(figure("/tokens/cache/write"));
    let output = figure("/tokens/output");
    let total = figure("/tokens/total").saturating_sub(input);
    Tokens { input, output: output.max(total), cached }
}

/// Millionths of a dollar.
fn micros(dollars: f64) -> u64 {
    let micros = (dollars * 1e6).round();
    // Far more than anybody pays, and exact as a float.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
    let micros = micros.clamp(0.0, 1e15) as u64;
    micros
}
