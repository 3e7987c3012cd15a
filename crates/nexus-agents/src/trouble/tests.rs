use std::time::Duration;

use nexus_core::run::Reset;
use proptest::prelude::*;

use super::*;

#[test]
fn what_errors_mean() {
    use TroubleKind::{Authentication, Limit, Model, RateLimit};
    let table: &[(Option<u16>, &str, TroubleKind)] = &[
        (Some(401), "", Authentication),
        (Some(403), "forbidden", Authentication),
        (Some(402), "", Authentication),
        (Some(429), "", RateLimit),
        (Some(529), "Overloaded", Model),
        (Some(500), "rate limit", Model),
        (Some(413), "", Limit),
        (Some(404), "There's an issue with the selected model (X).", Model),
        (Some(400), "Prompt is too long", Limit),
        (Some(400), "Your credit balance is too low to access the API.", Authentication),
        (Some(400), "API key not valid. Please pass a valid API key.", Authentication),
        (Some(400), "messages: text content blocks must be non-empty", Model),
        (None, "[API Error: 401 invalid x-api-key (fake)]", Authentication),
        (None, "unexpected status 401 Unauthorized: ..., url: ..", Authentication),
        (None, "exceeded retry limit, last status: 429 Too Many Requests", RateLimit),
        (None, "Quota exceeded. Check your plan and billing details.", Authentication),
        (
            None,
            "[API Error: {\\\"error\\\":{\\\"code\\\":401,\\\"message\\\":\\\"x\\\",\\\"status\\\":\\\"UNAUTHENTICATED\\\"}}]",
            Authentication,
        ),
        (
            None,
            "You exceeded your current quota, please check your plan and billing details. Please retry in 30s.",
            RateLimit,
        ),
        (None, "[API Error: You have exhausted your daily quota on this model.]", RateLimit),
        (None, "You\u{2019}ve hit your usage limit. Upgrade to Pro or try again at 7:52 PM.", RateLimit),
        (None, "You've hit your limit \u{b7} resets 3pm (Europe/Berlin)", RateLimit),
        (None, "5-hour limit reached \u{2219} resets 3pm", RateLimit),
        (None, "Claude AI usage limit reached|1763830800", RateLimit),
        (None, "You've hit your monthly spend limit.", Authentication),
        (None, "Codex ran out of room in the model's context window.", Limit),
        (None, "Reached maximum number of turns (3)", Limit),
        (None, "Invalid API key \u{b7} Fix external API key", Authentication),
        (None, "Not logged in \u{b7} Please run /login", Authentication),
        (None, "Reconnecting... 1/5 (stream disconnected)", Model),
        (None, "", Model),
    ];
    for (status, text, kind) in table {
        assert_eq!(classify(*status, text), *kind, "{status:?} {text}");
    }
}

#[test]
fn when_a_limit_is_over() {
    let now: Timestamp = "2026-11-22T16:00:00Z".parse().unwrap();
    let seconds = |seconds: f64| Some(Reset::In(Duration::from_secs_f64(seconds)));
    let at = |text: &str| Some(Reset::At(text.parse().unwrap()));
    let epoch = |second| Some(Reset::At(Timestamp::from_second(second).unwrap()));
    let table: &[(&str, Option<Reset>)] = &[
        ("Please try again in 20s.", seconds(20.0)),
        ("try again in 1.5 seconds", seconds(1.5)),
        ("Please retry in 300s.", seconds(300.0)),
        ("Suggested retry after 300s.. Retrying after 334092ms...", seconds(300.0)),
        ("Your quota will reset after 5h3m2s.", seconds(18182.0)),
        ("or try again in 1 day, 2 hours and 3 minutes.", seconds(93780.0)),
        ("Retry-After: 20", seconds(20.0)),
        ("\"retry-after\":\"20\"", seconds(20.0)),
        ("retry-after-ms: 1500", seconds(1.5)),
        ("{\"retryDelay\":\"37s\"}", seconds(37.0)),
        ("{\\\"retryDelay\\\": \\\"37s\\\"}", seconds(37.0)),
        ("{\"type\":\"usage_limit_reached\",\"resets_in_seconds\":3600}", seconds(3600.0)),
        ("{\"resets_at\":1763830800}", epoch(1_763_830_800)),
        ("\"resetsAt\": 1763830800", epoch(1_763_830_800)),
        ("Claude AI usage limit reached|1763830800", epoch(1_763_830_800)),
        ("Claude AI usage limit reached|1763830800000", epoch(1_763_830_800)),
        ("limit resets at 2026-11-22T18:00:00Z.", at("2026-11-22T18:00:00Z")),
        ("5-hour limit reached \u{2219} resets 3pm (UTC)", at("2026-11-23T15:00:00Z")),
        ("You've hit your limit \u{b7} resets 7:52pm (UTC)", at("2026-11-22T19:52:00Z")),
        ("resets 12am (UTC)", at("2026-11-23T00:00:00Z")),
        // Whose clock?
        ("resets 3pm", None),
        ("resets 3pm (Europe/Berlin)", None),
        ("try again at 7:52 PM.", None),
        ("Retry-After: soon", None),
        ("try again later", None),
        ("wait for it", None),
        ("", None),
    ];
    for (text, expected) in table {
        assert_eq!(reset(text, Some(now)), *expected, "{text}");
    }
    assert_eq!(reset("resets 3pm (UTC)", None), None, "a time of day, but no day");
}

#[test]
fn statuses_are_found_where_errors_have_them() {
    for (text, status) in [
        ("[API Error: 401 invalid x-api-key (fake)]", Some(401)),
        ("API Error: Request rejected (429) \u{b7} this may be a temporary capacity issue", None),
        ("{\"error\":{\"code\":503}}", Some(503)),
        ("Request failed with status code 429", Some(429)),
        ("wrote 429 lines to http.rs; status of 4011", None),
        ("error 42", None),
    ] {
        assert_eq!(status_in(text), status, "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_understood_somehow(text in ".{0,200}", status: Option<u16>, second in 0_i64..4_000_000_000) {
        let now = Timestamp::from_second(second).unwrap();
        let trouble = trouble(status, &text, Some(now));
        prop_assert!(!trouble.message.is_empty());
        let _ = reset(&format!("resets {text}"), Some(now));
        let _ = reset(&format!("try again in {text}"), Some(now));
        let _ = reset(&format!("retry-after: {text}"), None);
    }
}
