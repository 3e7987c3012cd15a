//! The end of a run of Claude Code or Qwen Code, by its last message.

use nexus_core::run::{Ending, Said, Tokens, Trouble, TroubleKind};
use serde_json::Value;

use super::{API_ERROR, Dialect, StreamJson};
use crate::json::{about, count, each, fraction, is, status, text};
use crate::trouble;

impl StreamJson {
    /// The message that tells of the whole run. "success" is a word that it has for failures too.
    pub(super) fn result(&mut self, message: &Value, said: &mut Vec<Said>) {
        self.silence(said);
        for denied in each(message, "/permission_denials") {
            let (tool, input) = (text(denied, "/tool_name"), about(&denied["tool_input"]));
            said.push(Said::Asked {
                question: None,
                what: format!("{tool} {input}").trim().to_owned(),
                allowed: false,
            });
        }
        if self.dialect == Dialect::Claude {
            self.total(message, said);
        }
        let ending = self.ending(message);
        if ending == Ending::Done && !self.spoken {
            self.say(text(message, "/result"), said);
            self.silence(said);
        }
        self.end(ending, said);
    }

    /// Qwen's totals count what it asked for twice, twice; of a session that was resumed, what the run before has cost too.
    fn total(&self, message: &Value, said: &mut Vec<Said>) {
        let models = message["modelUsage"].as_object();
        let all = models.into_iter().flat_map(|models| models.values()).fold(Tokens::default(), |sum, model| {
            let cached = count(model, "/cacheReadInputTokens");
            let beside = cached.saturating_add(count(model, "/cacheCreationInputTokens"));
            let input = count(model, "/inputTokens").saturating_add(beside);
            sum.plus(Tokens { input, output: count(model, "/outputTokens"), cached })
        });
        for tokens in [self.tokens(&message["usage"]), all] {
            if tokens != Tokens::default() {
                said.push(Said::Tokens(tokens));
            }
        }
        let cost = fraction(message, "/total_cost_usd").map(|dollars| (dollars * 1e6).round());
        // 0 is what it says of models that it has no price of.
        if let Some(cost) = cost.filter(|cost| *cost > 0.0 && *cost < 1e15) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and 1e15")]
            said.push(Said::Cost(cost as u64));
        }
    }

    fn ending(&mut self, message: &Value) -> Ending {
        let told = text(message, "/result");
        let errors = joined(&message["errors"]);
        let why = [told, &errors].into_iter().find(|text| !text.is_empty()).unwrap_or_default();
        match text(message, "/subtype") {
            "error_max_turns" | "error_max_budget_usd" | "error_max_structured_output_retries" => {
                let limit = text(message, "/subtype").trim_start_matches("error_").replace('_', " ");
                let why = if why.is_empty() { format!("a limit of its own: {limit}") } else { trouble::message(why) };
                return Ending::Failed(Trouble::new(TroubleKind::Limit, why));
            }
            "error_during_execution" => {
                // What was wrong before it broke off says more than that it did.
                if let Some(error) = self.error.take() {
                    return Ending::Failed(error);
                }
                let why = match text(message, "/terminal_reason") {
                    reason if reason.starts_with("aborted") => "it was interrupted",
                    _ => why,
                };
                let trouble = self.trouble(None, None, why);
                let crash = Trouble::new(TroubleKind::Crash, trouble.message.clone());
                return Ending::Failed(if trouble.kind == TroubleKind::Model { crash } else { trouble });
            }
            _ => {}
        }
        if text(message, "/stop_reason") == "refusal" {
            return Ending::Refused(trouble::message(why));
        }
        let failed = is(message, "/is_error")
            || text(message, "/subtype").starts_with("error")
            || self.dialect == Dialect::Qwen && told.starts_with(API_ERROR)
            || self.error.is_some();
        if !failed {
            return Ending::Done;
        }
        // Qwen says what went wrong in a field of its own.
        let why = if why.is_empty() { text(message, "/error/message") } else { why };
        let known = self.error.take();
        let limit = text(message, "/terminal_reason") == "prompt_too_long";
        let kind = if limit { Some(TroubleKind::Limit) } else { known.as_ref().map(|known| known.kind) };
        match known {
            Some(known) if why.is_empty() => Ending::Failed(known),
            _ => Ending::Failed(self.trouble(status(message, "/api_error_status"), kind, why)),
        }
    }
}

/// The kind of trouble behind claude's own word for an error.
pub(super) fn kind(word: &str) -> Option<TroubleKind> {
    Some(match word {
        "authentication_failed" | "oauth_org_not_allowed" | "billing_error" => TroubleKind::Authentication,
        "rate_limit" => TroubleKind::RateLimit,
        "overloaded" | "server_error" | "model_not_found" => TroubleKind::Model,
        "max_output_tokens" => TroubleKind::Limit,
        _ => return None,
    })
}

/// Of a message that no model has said: an error, by its words. Older versions have no field that says so.
pub(super) fn is_told(message: &Value) -> bool {
    let told = said(message);
    ["API Error", "Claude AI usage limit", "Credit balance", "Invalid API key", "Prompt is too long", "Not logged in"]
        .iter()
        .any(|words| told.starts_with(words))
        || told.contains("limit reached")
        || told.starts_with("You've hit your")
}

/// The text of a message.
pub(super) fn said(message: &Value) -> String {
    joined(&message["message"]["content"])
}

/// The texts of an array, of strings or of blocks.
pub(super) fn joined(blocks: &Value) -> String {
    let blocks = blocks.as_array().map(Vec::as_slice).unwrap_or_default();
    let texts = blocks.iter().map(|block| block.as_str().unwrap_or_else(|| text(block, "/text")));
    texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
}
