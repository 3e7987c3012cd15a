use nexus_core::agent::{AgentKind, AgentSpec};
use nexus_core::attempt::ExitStatus;
use nexus_core::department::Approval;
use nexus_core::run::{Ending, Said, Tokens, TroubleKind};

use crate::adapter::{Login, Look, adapter};
use crate::testing::{self, hear_lines, run};

const KIND: AgentKind = AgentKind::Codex;

#[test]
fn recordings_are_understood() {
    let exits = [
        ("auth", 1),
        ("nokey", 1),
        ("sigint", 1),
        ("sigterm", 143),
        ("limit", 1),
        ("plan", 1),
        ("context", 1),
        ("nosession", 1),
    ];
    testing::check(KIND, &exits);
}

#[test]
fn whatever_it_prints_nothing_panics_and_nothing_is_done_that_is_not() {
    testing::survives(KIND);
}

#[test]
fn it_is_started_by_its_policy() {
    let mut all = String::new();
    let spec = AgentSpec::of(KIND);
    for (approval, confined) in
        [(Approval::Allow, true), (Approval::Allow, false), (Approval::Ask, true), (Approval::Reject, false)]
    {
        let launch = testing::launch(KIND, &spec, |brief| (brief.approval, brief.confined) = (approval, confined));
        all += &format!("# {approval:?}, confined: {confined}\n{launch}\n");
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_spec_changes_how_it_is_started() {
    let spec = AgentSpec {
        command: vec!["npx".to_owned(), "codex".to_owned()],
        args: vec!["--search".to_owned()],
        model: Some("o9".to_owned()),
        env: [("CODEX_HOME".to_owned(), "/home/agent/own".to_owned())].into(),
        ..AgentSpec::of(KIND)
    };
    insta::assert_snapshot!(testing::launch(KIND, &spec, |brief| {
        brief.resume = Some("01a2-thread");
        brief.tools = None;
    }));
}

#[test]
fn strings_are_quoted_as_toml_wants_it() {
    for text in ["plain", "a \"b\" \\c", "tab\tand\nline", "\u{7f}\u{1}", "ünï \u{1f600}"] {
        let value: toml::Table = toml::from_str(&format!("x = {}", super::quoted(text))).unwrap();
        assert_eq!(value["x"].as_str(), Some(text));
    }
}

#[test]
fn a_key_that_is_not_accepted_ends_it_at_the_first_word() {
    let said = hear_lines(
        KIND,
        &[
            r#"{"type":"error","message":"Reconnecting... 1/5 (unexpected status 401 Unauthorized: no, url: http://x)"}"#,
        ],
    );
    let Some(Said::Ended(Ending::Failed(trouble))) = said.last() else { panic!("{said:?}") };
    assert_eq!(trouble.kind, TroubleKind::Authentication);
    assert_eq!(trouble.message, "unexpected status 401 Unauthorized: no, url: http://x");
}

#[test]
fn a_short_pause_is_waited_for_and_a_long_one_is_not() {
    let pause = |seconds: &str| {
        let (mut reader, mut said) = (testing::reader(KIND), Vec::new());
        let line = format!(
            "2026-11-25T19:03:27Z  WARN codex_core::responses_retry: stream disconnected - retrying sampling request \
             (1/5 in {seconds})... sampling_error=exceeded retry limit, last status: 429 Too Many Requests"
        );
        reader.error_line(line.as_bytes(), &mut said);
        run(&said).ending().cloned()
    };
    assert_eq!(pause("4.9s"), None);
    let Some(Ending::Failed(trouble)) = pause("299.5s") else { panic!("it waits on") };
    assert_eq!(trouble.kind, TroubleKind::RateLimit);
    assert_eq!(trouble.reset.map(|reset| format!("{reset:?}")).as_deref(), Some("In(299.5s)"));
}

/// Its rollout says when the windows are over that are used up.
#[test]
fn a_limit_is_over_when_its_window_is() {
    let (mut reader, mut said) = (testing::reader(KIND), Vec::new());
    let failed = r#"{"type":"turn.failed","error":{"message":"You’ve hit your usage limit. Try again at 7:52 PM."}}"#;
    reader.line(failed.as_bytes(), &mut said);
    let counted = r#"{"type":"event_msg","payload":{"type":"token_count","info":null,"rate_limits":{
        "primary":{"used_percent":100.0,"window_minutes":300,"resets_at":1795700000},
        "secondary":{"used_percent":41.0,"window_minutes":10080,"resets_at":1796000000}}}}"#;
    reader.side_line(counted.replace('\n', "").as_bytes(), &mut said);
    reader.finish(Some(ExitStatus::Code(1)), &mut said);
    let Some(Said::Ended(Ending::Failed(trouble))) = said.last() else { panic!("{said:?}") };
    assert_eq!(trouble.kind, TroubleKind::RateLimit);
    assert_eq!(trouble.reset.map(|reset| format!("{reset:?}")).as_deref(), Some("At(2026-11-26T13:33:20Z)"));
}

/// Whichever of stream and file comes first, a run that goes on with a session has spent what it has spent itself.
#[test]
fn a_session_that_goes_on_counts_its_own_tokens() {
    let record = r#"{"type":"token_usage_record","payload":{"response_id":"r9",
        "usage":{"input_tokens":2000,"cached_input_tokens":0,"output_tokens":60},
        "thread_token_usage":{"input_tokens":8000,"cached_input_tokens":3000,"output_tokens":360}}}"#;
    let record = record.replace('\n', "");
    let counted = r#"{"type":"event_msg","payload":{"type":"token_count","info":{
        "total_token_usage":{"input_tokens":8000,"cached_input_tokens":3000,"output_tokens":360},
        "last_token_usage":{"input_tokens":2000,"cached_input_tokens":0,"output_tokens":60}}}}"#;
    let counted = counted.replace('\n', "");
    let completed =
        r#"{"type":"turn.completed","usage":{"input_tokens":8000,"cached_input_tokens":3000,"output_tokens":360}}"#;
    let own = Tokens { input: 2000, output: 60, cached: 0 };
    let whole = Tokens { input: 8000, output: 360, cached: 3000 };
    let table: [(&[&str], Tokens); 5] = [
        (&[&record, completed], own),
        (&[completed, &record], own),
        (&[completed, &record, &record, &counted], own),
        (&[&counted, completed], own),
        (&[completed], whole),
    ];
    for (lines, expected) in table {
        let mut reader = testing::reader_of(KIND, |brief| brief.resume = Some("t"));
        let mut said = Vec::new();
        for line in lines {
            match *line == completed {
                true => reader.line(line.as_bytes(), &mut said),
                false => reader.side_line(line.as_bytes(), &mut said),
            }
        }
        reader.finish(Some(ExitStatus::Code(0)), &mut said);
        assert_eq!(run(&said).report().tokens, expected, "{lines:?}");
        assert_eq!(run(&said).report().turns, 1, "{lines:?}");
    }
}

#[test]
fn whether_it_is_signed_in() {
    let adapter = adapter(KIND).unwrap();
    let look = |variable: &str, file: &str| {
        adapter.login(&Look {
            home: "/home/u".as_ref(),
            has_variable: &|name| name == variable,
            has_file: &|path| !file.is_empty() && path.ends_with(file),
        })
    };
    assert_eq!(look("CODEX_API_KEY", ""), Login::SignedIn("CODEX_API_KEY".to_owned()));
    assert!(matches!(look("OPENAI_API_KEY", ""), Login::SignedOut(_)), "it doesn't use that");
    assert_eq!(look("", ".codex/auth.json"), Login::SignedIn("~/.codex/auth.json".to_owned()));
    assert_eq!(look("", ".codex/config.toml"), Login::Unknown);
    assert!(matches!(look("", ""), Login::SignedOut(how) if how.starts_with("run ")));
}
