use nexus_core::agent::{AgentKind, AgentSpec};
use nexus_core::attempt::ExitStatus;
use nexus_core::run::{Ending, Reset, Said, Tokens, TroubleKind};
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::adapter::SideFile;
use crate::testing;

const KIND: AgentKind = AgentKind::Gemini;

#[test]
fn recordings() {
    testing::check(KIND, &[("lost", 42), ("auth", 145)]);
}

#[test]
fn noise_changes_nothing() {
    testing::survives(KIND);
}

#[test]
fn launches() {
    let spec = AgentSpec::of(KIND);
    insta::assert_snapshot!("allowed_and_confined", testing::launch(KIND, &spec, |_| ()));
    let env = [("GOOGLE_GEMINI_BASE_URL".to_owned(), "http://127.0.0.1:1".to_owned())].into();
    let spec = AgentSpec { args: vec!["--debug".into()], model: Some("flash".into()), env, ..spec };
    let asks = testing::launch(KIND, &spec, |brief| {
        (brief.approval, brief.resume, brief.confined) = (Approval::Ask, Some("a-b"), false);
    });
    insta::assert_snapshot!("asking_resumed_unconfined", asks);
    let alone = testing::launch(KIND, &spec, |brief| brief.tools = None);
    assert!(!alone.contains("mcpServers"), "{alone}");
}

/// The record of a message, as it is written and once more when its tool has ended.
fn record(id: &str, time: &str) -> String {
    let tokens = r#"{"input":1000,"output":50,"cached":200,"thoughts":8,"tool":0,"total":1058}"#;
    format!(r#"{{"id":"{id}","timestamp":"{time}","type":"gemini","content":"","tokens":{tokens}}}"#)
}

#[test]
fn its_record_says_what_it_spends_and_nothing_twice() {
    let mut reader = testing::reader(KIND);
    let mut said = Vec::new();
    assert_eq!(reader.side_file(), None);
    let init = br#"{"type":"init","timestamp":"2026-01-02T00:00:00Z","session_id":"409d5ce5-663f","model":"m"}"#;
    reader.line(init, &mut said);
    assert_eq!(reader.side_file(), Some(SideFile { contains: "409d5ce5".into(), ends: ".jsonl" }));
    said.clear();
    let (old, new) = (record("a", "2026-01-01T23:59:59Z"), record("b", "2026-01-02T00:00:01Z"));
    let again = format!(r#"{{"$set":{{"messages":[{old},{new}]}}}}"#);
    for line in [&old, &new, &new, &again, &record("c", "2026-01-02T00:00:02Z")] {
        reader.side_line(line.as_bytes(), &mut said);
    }
    let tokens = |times: u64| Said::Tokens(Tokens { input: 1000 * times, output: 58 * times, cached: 200 * times });
    assert_eq!(said, [Said::Turns(1), tokens(1), Said::Turns(2), tokens(2)]);
}

#[test]
fn it_tells_of_limits_that_it_waits_for_on_standard_error() {
    let limit = |line: &str| {
        let mut said = Vec::new();
        testing::reader(KIND).error_line(line.as_bytes(), &mut said);
        match said[..] {
            [] => None,
            [Said::Warning(_)] => Some(None),
            [Said::Ended(Ending::Failed(ref trouble))] => Some(trouble.reset),
            ref other => panic!("{other:?}"),
        }
    };
    let far = Some(Reset::In(Duration::from_secs(300)));
    assert_eq!(limit("Attempt 1 failed: You exceeded your current quota. Please retry in 300s."), Some(far));
    assert_eq!(limit("Attempt 1 failed: You exceeded your current quota. Please retry in 3s."), Some(None));
    assert_eq!(limit("Attempt 2 failed with status 500. Retrying with backoff... _ApiError: {}"), Some(None));
    assert_eq!(limit("Suggested retry after 300s.. Retrying after 334092ms..."), None);
    assert_eq!(limit("Security Warning: Skipping system defaults file '/x/gemini.json': insecure"), Some(None));
    assert_eq!(limit("Ripgrep is not available. Falling back to GrepTool."), None);
}

#[test]
fn it_can_fail_before_it_speaks() {
    for (code, kind) in [(41, TroubleKind::Authentication), (53, TroubleKind::Limit), (42, TroubleKind::Crash)] {
        let (mut reader, mut said) = (testing::reader(KIND), Vec::new());
        reader.error_line(b"It can't.", &mut said);
        reader.finish(Some(ExitStatus::Code(code)), &mut said);
        let [Said::Ended(Ending::Failed(trouble))] = &said[..] else { panic!("{said:?}") };
        assert_eq!((trouble.kind, trouble.message.as_str()), (kind, "It can't."));
    }
}

#[test]
fn a_key_in_its_settings_is_not_looked_at() {
    let login = |has: &str| {
        let file = Path::new("/home/me").join(has);
        let look =
            Look { home: Path::new("/home/me"), has_variable: &|name| name == has, has_file: &|path| path == file };
        Gemini.login(&look)
    };
    assert_eq!(login("GEMINI_API_KEY"), Login::SignedIn("GEMINI_API_KEY".into()));
    assert_eq!(login(".gemini/oauth_creds.json"), Login::SignedIn("~/.gemini/oauth_creds.json".into()));
    assert_eq!(login(".gemini/settings.json"), Login::Unknown);
    assert!(matches!(login("x"), Login::SignedOut(_)));
}
