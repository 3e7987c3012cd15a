//! The meaning of an error of a model's API, by its HTTP status and its words: for all adapters alike, as all of them pass on what
//! the same few APIs say.

use jiff::Timestamp;
use nexus_core::run::{Trouble, TroubleKind};

mod reset;
#[cfg(test)]
mod tests;

pub(crate) use reset::{duration, reset};

/// A status that the CLI would go on asking about by itself is waited for, unless it is longer than this: then the account is
/// closed, and its tasks go elsewhere.
pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// Characters of an error that are kept.
const MESSAGE: usize = 500;

/// Its context, its turns, its budget: more of the same doesn't help, and waiting neither.
const LIMIT: &[&str] = &[
    "prompt is too long",
    "context_length_exceeded",
    "context length",
    "context window",
    "context limit",
    "maximum context",
    "input token count",
    "too many input tokens",
    "request too large",
    "request_too_large",
    "max_turns",
    "max turns",
    "maximum number of turns",
    "max session turns",
    "maximum session turns",
    "maximum budget",
    "max_budget",
    "max budget",
    "output token maximum",
    "max_output_tokens",
];

/// No money: signing in is not it, but somebody has to see to it all the same.
const CREDIT: &[&str] = &[
    "credit balance",
    "insufficient_quota",
    "insufficient quota",
    "insufficient credit",
    "insufficient balance",
    "insufficient funds",
    "quota exceeded. check your plan and billing",
    "billing_error",
    "billing_not_active",
    "payment required",
    "out of usage",
    "out of credits",
    "spend limit",
    "spending limit",
    "free allocated quota exceeded",
    "access_terminated",
];

const AUTHENTICATION: &[&str] = &[
    "unauthenticated",
    "unauthorized",
    "authentication_error",
    "authentication_failed",
    "authentication error",
    "authentication failed",
    "not authenticated",
    "oauth_org_not_allowed",
    "invalid x-api-key",
    "invalid api key",
    "invalid_api_key",
    "incorrect api key",
    "api key not valid",
    "api_key_invalid",
    "no api key",
    "missing api key",
    "api key is missing",
    "api key expired",
    "disabled organization",
    "disabled api key authentication",
    "not logged in",
    "please run /login",
    "please log in",
    "please login",
    "login required",
    "not signed in",
    "sign in again",
    "log in again",
    "no auth type is selected",
    "set an auth method",
    "invalid auth method",
    "authentication type",
    "oauth token",
    "refresh token",
    "token has expired",
    "token expired",
    "permission_denied",
    "permission_error",
];

const RATE: &[&str] = &[
    "rate limit",
    "rate_limit",
    "ratelimit",
    "too many requests",
    "usage limit",
    "usage_limit",
    "hour limit",
    "daily limit",
    "weekly limit",
    "session limit",
    "opus limit",
    "sonnet limit",
    "fast limit",
    "request rejected (429)",
    "resource_exhausted",
    "resource has been exhausted",
    "exceeded your current quota",
    "exhausted your daily quota",
    "exhausted your capacity",
    "exhausted your quota",
    "quota exceeded",
    "quota will reset",
    "throttl",
    "you've hit your limit",
];

/// The kind of trouble behind an error. A status that `text` names is taken from there.
pub(crate) fn classify(status: Option<u16>, text: &str) -> TroubleKind {
    let text = plain(text);
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let status = status.filter(|status| *status >= 400).or_else(|| status_in(&text));
    // Of a quota that comes back by itself, the words are often those of one that has to be paid for.
    if says(CREDIT) && reset(&text, None).is_none() {
        return TroubleKind::Authentication;
    }
    match status {
        Some(401..=403) => return TroubleKind::Authentication,
        Some(429) => return TroubleKind::RateLimit,
        Some(413) => return TroubleKind::Limit,
        Some(408 | 409 | 500..) => return TroubleKind::Model,
        _ => {}
    }
    if says(LIMIT) {
        TroubleKind::Limit
    } else if says(AUTHENTICATION) {
        TroubleKind::Authentication
    } else if says(RATE) || says(CREDIT) {
        TroubleKind::RateLimit
    } else {
        TroubleKind::Model
    }
}

/// The trouble that an error is, with its reset if it is a rate limit that says so. `now` is the time of the stream, where that
/// has one: a time of day means nothing without it.
#[must_use]
pub fn trouble(status: Option<u16>, text: &str, now: Option<Timestamp>) -> Trouble {
    let kind = classify(status, text);
    let reset = if kind == TroubleKind::RateLimit { reset(text, now) } else { None };
    let message = message(text);
    let message = match (message.is_empty(), status) {
        (true, Some(status)) => format!("the model's API answered {status}"),
        (true, None) => "the model's API answered with an error".to_owned(),
        (false, _) => message,
    };
    Trouble { kind, message, reset }
}

/// The words of an error, cut to what a line can show.
pub(crate) fn message(text: &str) -> String {
    let mut message: String = text.trim().chars().take(MESSAGE).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.trim().chars().nth(MESSAGE).is_some() {
        message.push_str(" ...");
    }
    message
}

/// The status that an error names in its text: `[API Error: 401 ..`, `"code":429`, `status code 503`.
pub(crate) fn status_in(text: &str) -> Option<u16> {
    const BEFORE: &[&str] =
        &["api error:", "\"code\":", "\"status\":", "\"statuscode\":", "status code", "status", "http", "error"];
    let text = plain(text);
    BEFORE.iter().find_map(|before| {
        text.match_indices(before).find_map(|(at, found)| {
            let rest = text[at + found.len()..].trim_start_matches([' ', ':', '"', '(', '=', '{']);
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest[..digits].parse().ok().filter(|status| digits == 3 && (400..600).contains(status))
        })
    })
}

/// Lower case, with typewriter quotes, and without what JSON in a string looks like.
fn plain(text: &str) -> String {
    text.chars().filter(|c| *c != '\\').map(|c| if c == '\u{2019}' { '\'' } else { c.to_ascii_lowercase() }).collect()
}
