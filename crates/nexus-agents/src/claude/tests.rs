use nexus_core::agent::{AgentKind, AgentSpec};
use nexus_core::department::Approval;
use std::path::Path;

use super::*;
use crate::testing;

const KIND: AgentKind = AgentKind::Claude;

#[test]
fn recordings() {
    testing::check(KIND, &[("lost", 1), ("auth", 1), ("refuse", 1), ("sigterm", 143)]);
}

#[test]
fn noise_changes_nothing() {
    testing::survives(KIND);
}

#[test]
fn launches() {
    let spec = AgentSpec::of(KIND);
    insta::assert_snapshot!("allowed_and_confined", testing::launch(KIND, &spec, |brief| brief.as_root = true));
    let asks = testing::launch(KIND, &spec, |brief| (brief.approval, brief.confined) = (Approval::Ask, false));
    insta::assert_snapshot!("asking_unconfined", asks);
    let spec = AgentSpec {
        command: vec!["/opt/claude".into(), "--debug".into()],
        args: vec!["--max-turns".into(), "9".into()],
        model: Some("opus".into()),
        ..spec
    };
    let rejects = testing::launch(KIND, &spec, |brief| {
        (brief.approval, brief.resume, brief.tools, brief.as_root) = (Approval::Reject, Some("a-b"), None, true);
    });
    insta::assert_snapshot!("rejecting_resumed_without_tools", rejects);
}

#[test]
fn signed_in_by_a_variable_or_by_a_file() {
    let login = |variable: &str, file: &str| {
        let file = Path::new("/home/me").join(file);
        let look = Look {
            home: Path::new("/home/me"),
            has_variable: &|name| name == variable,
            has_file: &|path| path == file,
        };
        Claude.login(&look)
    };
    assert_eq!(login("ANTHROPIC_API_KEY", ""), Login::SignedIn("ANTHROPIC_API_KEY".into()));
    assert_eq!(login("", ".claude/.credentials.json"), Login::SignedIn("~/.claude/.credentials.json".into()));
    assert!(matches!(login("OPENAI_API_KEY", ".claude/settings.json"), Login::SignedOut(_)));
}
