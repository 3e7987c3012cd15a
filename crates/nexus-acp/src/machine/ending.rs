//! The end of a prompt, and the meaning of the agent's errors.

use agent_client_protocol::v1::schema::{Error, ErrorCode, PromptResponse, StopReason, Usage};
use nexus_core::run::{Ending, Said, Tokens, Trouble, TroubleKind};
use serde_json::Value;

use super::Action;
use crate::talk::Talk;

/// The end by the answer to the prompt; none: it was cancelled.
pub(super) fn of_prompt(result: &Value, talk: &Talk, todo: &mut Vec<Action>) -> Option<Ending> {
    let response: PromptResponse = match serde_json::from_value(result.clone()) {
        Ok(response) => response,
        Err(error) => {
            let message = format!("its answer to the prompt isn't the protocol's: {error}");
            return Some(Ending::Failed(Trouble::new(TroubleKind::Protocol, message)));
        }
    };
    if let Some(tokens) = response.usage.as_ref().map(of_usage).or_else(|| of_quota(result)) {
        todo.push(Action::Say(Said::Tokens(tokens)));
    }
    if let Some(model) = quota(result).and_then(|quota| quota.pointer("/model_usage/0/model")?.as_str()) {
        todo.push(Action::Say(Said::Model(model.to_owned())));
    }
    let limit = |message: &str| Some(Ending::Failed(Trouble::new(TroubleKind::Limit, message)));
    match response.stop_reason {
        StopReason::Cancelled => None,
        StopReason::Refusal => Some(Ending::Refused(talk.last_message().to_owned())),
        StopReason::MaxTokens => limit("its model had no tokens left (max_tokens)"),
        StopReason::MaxTurnRequests => limit("it asked its model as often as it may (max_turn_requests)"),
        _ => Some(match talk.failed_call() {
            Some((status, text)) => Ending::Failed(nexus_agents::trouble_of(status, text, None)),
            None => Ending::Done,
        }),
    }
}

/// Agents differ in whether the input holds what came from a cache, and the output what was thought; the total tells.
fn of_usage(usage: &Usage) -> Tokens {
    let cached = usage.cached_read_tokens.unwrap_or_default();
    let thought = usage.thought_tokens.unwrap_or_default();
    let apart =
        [usage.input_tokens, usage.output_tokens, cached, usage.cached_write_tokens.unwrap_or_default(), thought];
    let sum = apart.iter().fold(0_u64, |sum, tokens| sum.saturating_add(*tokens));
    let output = usage.output_tokens.saturating_add(if sum == usage.total_tokens { thought } else { 0 });
    let input = usage.total_tokens.saturating_sub(output).max(usage.input_tokens);
    Tokens { input, output, cached }
}

/// Where Gemini CLI says what it has used.
fn quota(result: &Value) -> Option<&Value> {
    result.pointer("/_meta/quota")
}

fn of_quota(result: &Value) -> Option<Tokens> {
    let count = quota(result)?.get("token_count")?;
    let tokens = |name: &str| count.get(name).and_then(Value::as_u64);
    Some(Tokens {
        input: tokens("input_tokens")?,
        output: tokens("output_tokens")?,
        cached: tokens("cached_tokens").unwrap_or_default(),
    })
}

/// The meaning of an error. `otherwise`: its kind when nothing of it tells.
pub(super) fn of_error(error: &Error, otherwise: TroubleKind) -> Trouble {
    let code = i32::from(error.code);
    // Gemini CLI's errors have the status of its API as their code.
    let status = u16::try_from(code).ok().filter(|code| (400..600).contains(code));
    let status = status.or_else(|| error.data.as_ref().and_then(status_in));
    let data = error.data.as_ref().map(words).unwrap_or_default();
    let text = match (error.message.trim(), data.trim()) {
        (message, "") => message.to_owned(),
        (message, data) if data.contains(message) => data.to_owned(),
        (message, data) => format!("{message}: {data}"),
    };
    let otherwise = match error.code {
        ErrorCode::AuthRequired => TroubleKind::Authentication,
        ErrorCode::InvalidRequest | ErrorCode::InvalidParams | ErrorCode::MethodNotFound | ErrorCode::ParseError => {
            TroubleKind::Protocol
        }
        _ => otherwise,
    };
    classify(status, &text, otherwise)
}

/// The same of words alone.
pub(super) fn classify(status: Option<u16>, text: &str, otherwise: TroubleKind) -> Trouble {
    let trouble = nexus_agents::trouble_of(status, text, None);
    match trouble.kind {
        // What is left when the words say nothing.
        TroubleKind::Model if status.is_none() => Trouble { kind: otherwise, ..trouble },
        _ => trouble,
    }
}

fn status_in(data: &Value) -> Option<u16> {
    let names = ["status", "statusCode", "status_code", "code"];
    let mut numbers = names.iter().filter_map(|name| data.get(name)?.as_u64());
    let found = numbers.find(|status| (400..600).contains(status)).and_then(|status| u16::try_from(status).ok());
    found.or_else(|| data.get("error").and_then(status_in))
}

/// An error's data in words: they may hold a time at which a limit is over, so nothing is left out.
fn words(data: &Value) -> String {
    match data {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(fields) if fields.len() == 1 => fields.values().next().map(words).unwrap_or_default(),
        other => other.to_string(),
    }
}
