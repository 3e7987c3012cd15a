use std::time::Duration;

use nexus_core::agent::AgentKind;
use nexus_core::run::Run;

use super::*;
use crate::testing;

fn hear(kind: AgentKind, lines: &[&str]) -> (Run, Vec<Said>) {
    let said = testing::hear_lines(kind, lines);
    (testing::run(&said), said)
}

/// A word of how a run ends, and its reset.
type Expected = (&'static str, Option<Reset>);

/// The end of a run with these lines: in a word, with its reset.
fn ending(kind: AgentKind, lines: &[&str]) -> (String, Option<Reset>) {
    match hear(kind, lines).0.ending() {
        None => ("goes on".to_owned(), None),
        Some(Ending::Failed(trouble)) => (format!("{:?}", trouble.kind), trouble.reset),
        Some(Ending::Done) => ("Done".to_owned(), None),
        Some(Ending::Refused(_)) => ("Refused".to_owned(), None),
    }
}

fn retry(attempt: u32, status: &str, error: &str, millis: u32) -> String {
    format!(
        r#"{{"type":"system","subtype":"api_retry","attempt":{attempt},"max_retries":10,"retry_delay_ms":{millis},"error_status":{status},"error":"{error}"}}"#
    )
}

/// A result that is an error, of this text.
fn failed(status: &str, text: &str) -> String {
    let text = Value::from(text);
    format!(r#"{{"type":"result","subtype":"success","is_error":true,"api_error_status":{status},"result":{text}}}"#)
}

#[test]
fn a_retried_request_is_an_end_where_another_one_does_not_help() {
    let key = r#"{"type":"system","subtype":"init","session_id":"s","apiKeySource":"ANTHROPIC_API_KEY"}"#;
    let plan = r#"{"type":"system","subtype":"init","session_id":"s","apiKeySource":"none"}"#;
    let minutes = |n: u64| Some(Reset::In(Duration::from_secs(60 * n)));
    type Retry = (u32, &'static str, &'static str, u32);
    let table: &[(&str, &[Retry], Expected)] = &[
        (key, &[(1, "401", "authentication_failed", 600)], ("Authentication", None)),
        (key, &[(1, "403", "oauth_org_not_allowed", 600)], ("Authentication", None)),
        (key, &[(1, "400", "billing_error", 600)], ("Authentication", None)),
        // The token of a subscription is renewed, once.
        (plan, &[(1, "401", "authentication_failed", 600)], ("goes on", None)),
        (
            plan,
            &[(1, "401", "authentication_failed", 9), (2, "401", "authentication_failed", 9)],
            ("Authentication", None),
        ),
        (key, &[(1, "429", "rate_limit", 5000)], ("goes on", None)),
        (key, &[(1, "429", "rate_limit", 300_000)], ("RateLimit", minutes(5))),
        (key, &[(1, "529", "overloaded", 600), (2, "null", "unknown", 600_000)], ("goes on", None)),
    ];
    for (init, retries, (kind, reset)) in table {
        let retries: Vec<String> = retries.iter().map(|(n, status, error, ms)| retry(*n, status, error, *ms)).collect();
        let lines: Vec<&str> = std::iter::once(*init).chain(retries.iter().map(String::as_str)).collect();
        assert_eq!(ending(AgentKind::Claude, &lines), ((*kind).to_owned(), *reset), "{lines:?}");
    }
}

#[test]
fn results_that_are_failures() {
    let epoch = |second| Some(Reset::At(Timestamp::from_second(second).unwrap()));
    let event = r#"{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":1763830800,"rateLimitType":"five_hour"}}"#;
    let user = r#"{"type":"user","timestamp":"2026-11-22T16:00:00Z","message":{"content":[]}}"#;
    let three = Some(Reset::At("2026-11-23T15:00:00Z".parse().unwrap()));
    let limit = "You've hit your limit \u{b7} resets 3pm (Europe/Berlin)";
    let subtype = |word: &str| format!(r#"{{"type":"result","subtype":"{word}","is_error":true,"errors":["x"]}}"#);
    let table: &[(&[&str], Expected)] = &[
        (&[&failed("null", "Claude AI usage limit reached|1763830800")], ("RateLimit", epoch(1_763_830_800))),
        (&[&failed("429", "5-hour limit reached \u{2219} resets 3pm")], ("RateLimit", None)),
        (&[user, &failed("429", "5-hour limit reached \u{2219} resets 3pm (UTC)")], ("RateLimit", three)),
        (&[event], ("goes on", None)),
        (&[event, &failed("429", limit)], ("RateLimit", epoch(1_763_830_800))),
        (&[&failed("400", "Credit balance is too low")], ("Authentication", None)),
        (&[&failed("401", "Invalid API key \u{b7} Fix external API key")], ("Authentication", None)),
        (&[&failed("null", "Not logged in \u{b7} Please run /login")], ("Authentication", None)),
        (&[&failed("400", "Prompt is too long")], ("Limit", None)),
        (&[&failed("529", "API Error: Overloaded")], ("Model", None)),
        (&[&subtype("error_max_turns")], ("Limit", None)),
        (&[&subtype("error_max_budget_usd")], ("Limit", None)),
        (&[&subtype("error_during_execution")], ("Crash", None)),
        (&[&subtype("error_of_next_year")], ("Model", None)),
        (
            &[r#"{"type":"result","subtype":"success","is_error":false,"stop_reason":"refusal","result":"No."}"#],
            ("Refused", None),
        ),
        (
            &[r#"{"type":"result","subtype":"success","is_error":false,"result":"rate limit, 429, 401"}"#],
            ("Done", None),
        ),
        (&[r#"{"type":"result","subtype":"success"}"#], ("Done", None)),
        (
            &[r#"{"type":"assistant","error":"rate_limit","message":{"model":"<synthetic>","content":[]}}"#],
            ("RateLimit", None),
        ),
        // Of a sub-agent: the agent itself goes on.
        (
            &[
                r#"{"type":"assistant","error":"rate_limit","parent_tool_use_id":"t","message":{"model":"<synthetic>","content":[]}}"#,
            ],
            ("goes on", None),
        ),
    ];
    for (lines, (kind, reset)) in table {
        assert_eq!(ending(AgentKind::Claude, lines), ((*kind).to_owned(), *reset), "{lines:?}");
    }
}

#[test]
fn what_qwen_passes_on_as_text() {
    let says = |text: &str, output: u32| {
        let text = Value::from(text);
        format!(
            r#"{{"type":"assistant","message":{{"id":"m","content":[{{"type":"text","text":{text}}}],"usage":{{"input_tokens":{output},"output_tokens":{output}}}}}}}"#
        )
    };
    let result = |text: &str| {
        let text = Value::from(text);
        format!(r#"{{"type":"result","subtype":"success","is_error":false,"result":{text}}}"#)
    };
    let error = "[API Error: 401 invalid x-api-key (fake)]";
    assert_eq!(ending(AgentKind::Qwen, &[&says(error, 0)]).0, "Authentication");
    assert_eq!(ending(AgentKind::Qwen, &[&says("[API Error: 500 x]", 0)]).0, "goes on");
    assert_eq!(ending(AgentKind::Qwen, &[&says("[API Error: 500 x]", 0), &result("[API Error: 500 x]")]).0, "Model");
    assert_eq!(ending(AgentKind::Qwen, &[&result("[API Error: Connection error. (cause: fetch failed)]")]).0, "Model");
    // Its model may well talk of errors.
    let talk = "It printed [API Error: 401 x]";
    assert_eq!(ending(AgentKind::Qwen, &[&says(talk, 5), &result(talk)]).0, "Done");
    assert_eq!(ending(AgentKind::Claude, &[&result(error)]).0, "Done", "and claude has a field that says so");
}

#[test]
fn pieces_are_joined_and_not_said_again_with_the_whole_message() {
    let piece = |text: &str| {
        format!(
            r#"{{"type":"stream_event","event":{{"type":"content_block_delta","delta":{{"type":"text_delta","text":"{text}"}}}}}}"#
        )
    };
    let start = r#"{"type":"stream_event","event":{"type":"message_start","message":{"id":"m","usage":{"input_tokens":9,"output_tokens":1}}}}"#;
    let whole = r#"{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"one two"}],"usage":{"input_tokens":9,"output_tokens":1}}}"#;
    let delta = r#"{"type":"stream_event","event":{"type":"message_delta","usage":{"output_tokens":70}}}"#;
    let stop = r#"{"type":"stream_event","event":{"type":"message_stop"}}"#;
    let (run, said) = hear(AgentKind::Claude, &[start, &piece("one "), &piece("two"), whole, delta, stop]);
    assert_eq!(run.message(), ("one two", false));
    let texts: Vec<_> = said.iter().filter(|said| matches!(said, Said::Text(_) | Said::TextEnd)).collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert_eq!((run.report().tokens.input, run.report().tokens.output, run.report().turns), (9, 70, 1));
}

#[test]
fn what_a_sub_agent_says_is_no_message_but_costs() {
    let sub = r#"{"type":"assistant","parent_tool_use_id":"t","message":{"id":"n","content":[{"type":"text","text":"psst"},{"type":"tool_use","id":"u","name":"Read","input":{"file_path":"/x"}}],"usage":{"input_tokens":5,"cache_read_input_tokens":3,"cache_creation_input_tokens":2,"output_tokens":1}}}"#;
    let (run, _) = hear(AgentKind::Claude, &[sub]);
    assert_eq!(run.message().0, "");
    assert_eq!(run.report().tokens, Tokens { input: 10, output: 1, cached: 3 });
    assert_eq!(run.report().doing.as_deref(), Some("Read /x"));
}

#[test]
fn what_it_warns_of() {
    let lines = [
        r#"{"type":"system","subtype":"init","session_id":"s","mcp_servers":[{"name":"nexus","status":"failed"},{"name":"a","status":"connected"}]}"#,
        r#"{"type":"system","subtype":"hook_response","hook_name":"PostToolUse","outcome":"error","stderr":"no such file\n"}"#,
        r#"{"type":"rate_limit_event","rate_limit_info":{"status":"allowed_warning","rateLimitType":"seven_day","utilization":0.91}}"#,
        r#"{"type":"rate_limit_event","rate_limit_info":{"status":"allowed"}}"#,
        r#"{"type":"result","subtype":"success","result":"x","permission_denials":[{"tool_name":"Bash","tool_input":{"command":"rm -r /"}}]}"#,
    ];
    let (run, _) = hear(AgentKind::Claude, &lines);
    assert_eq!(
        run.report().warnings,
        [
            "its MCP server nexus is not there: failed",
            "its hook PostToolUse failed: no such file",
            "the seven day limit of its account is near (91 % used)",
            "was not allowed to: Bash rm -r /",
        ]
    );
    assert_eq!((run.report().denied, run.ending()), (1, Some(&Ending::Done)));
}

#[test]
fn one_that_never_speaks_says_why_on_standard_error() {
    let finish = |line: &str, code: i32| {
        let (mut reader, mut said) = (testing::reader(AgentKind::Claude), Vec::new());
        reader.error_line(line.as_bytes(), &mut said);
        reader.finish(Some(ExitStatus::Code(code)), &mut said);
        testing::run(&said).ending().cloned()
    };
    let failed = |kind, message: &str| Some(Ending::Failed(Trouble::new(kind, message)));
    assert_eq!(finish("Invalid API key", 1), failed(TroubleKind::Authentication, "Invalid API key"));
    assert_eq!(finish("error: unknown option '--x'", 1), failed(TroubleKind::Crash, "error: unknown option '--x'"));
    assert_eq!(finish("Invalid API key", 0), None, "what it ends like without a result is not for us to say");
}
