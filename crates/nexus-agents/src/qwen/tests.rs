use nexus_core::agent::{AgentKind, AgentSpec};
use nexus_core::department::Approval;
use nexus_core::run::{Ending, Reset, Trouble};
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::testing;

const KIND: AgentKind = AgentKind::Qwen;

#[test]
fn recordings() {
    testing::check(KIND, &[("lost", 1)]);
}

#[test]
fn noise_changes_nothing() {
    testing::survives(KIND);
}

#[test]
fn launches() {
    let spec = AgentSpec::of(KIND);
    insta::assert_snapshot!("allowed_and_confined", testing::launch(KIND, &spec, |_| ()));
    let spec = AgentSpec { args: vec!["--auth-type=openai".into()], model: Some("coder".into()), ..spec };
    let rejects = testing::launch(KIND, &spec, |brief| {
        (brief.approval, brief.resume, brief.confined) = (Approval::Reject, Some("a-b"), false);
    });
    insta::assert_snapshot!("rejecting_resumed_unconfined", rejects);
}

#[test]
fn its_log_tells_of_rate_limits_that_it_would_wait_for() {
    let mut reader = testing::reader(KIND);
    let mut log = |line: &str| {
        let mut said = Vec::new();
        reader.side_line(line.as_bytes(), &mut said);
        said
    };
    let line = |attempt: u32, why: &str| {
        format!(
            "2026-01-01T00:00:00.000Z [WARN] [RETRY] Attempt {attempt} failed with status 429. Retrying with backoff... {why}"
        )
    };
    let limit = |said: &[Said]| match said {
        [Said::Ended(Ending::Failed(Trouble { kind: TroubleKind::RateLimit, reset, .. }))] => Some(*reset),
        [Said::Warning(_)] => None,
        other => panic!("{other:?}"),
    };
    assert_eq!(log("2026-01-01T00:00:00.000Z [DEBUG] [STARTUP] status 429"), []);
    assert_eq!(limit(&log(&line(1, "Error: 429 Please try again in 5s."))), None);
    let far = Some(Reset::In(Duration::from_secs(297)));
    assert_eq!(limit(&log(&line(1, "Error: 429 Please try again in 297s."))), Some(far));
    assert_eq!(limit(&log(&line(4, "Error: 429 Too many requests"))), None);
    assert_eq!(limit(&log(&line(5, "Error: 429 Too many requests"))), Some(None));
    assert!(matches!(log(&line(9, "").replace("429", "503"))[..], [Said::Warning(_)]));
}

#[test]
fn its_log_is_found_by_the_session() {
    let mut reader = testing::reader(KIND);
    assert_eq!(reader.side_file(), None);
    let init = br#"{"type":"system","subtype":"init","session_id":"5ba7","model":"m"}"#;
    reader.line(init, &mut Vec::new());
    reader.line(br#"{"type":"user"}"#, &mut Vec::new());
    assert_eq!(reader.side_file(), Some(SideFile { contains: "5ba7".into(), ends: ".txt" }));
}

#[test]
fn a_key_in_its_settings_is_not_looked_at() {
    let login = |has: &str| {
        let file = Path::new("/home/me").join(has);
        let look =
            Look { home: Path::new("/home/me"), has_variable: &|name| name == has, has_file: &|path| path == file };
        Qwen.login(&look)
    };
    assert_eq!(login("OPENAI_API_KEY"), Login::SignedIn("OPENAI_API_KEY".into()));
    assert_eq!(login(".qwen/oauth_creds.json"), Login::SignedIn("~/.qwen/oauth_creds.json".into()));
    assert_eq!(login(".qwen/settings.json"), Login::Unknown);
    assert!(matches!(login("x"), Login::SignedOut(_)));
}
