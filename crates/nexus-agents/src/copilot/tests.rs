use nexus_core::agent::{AgentKind, AgentSpec};
use nexus_core::department::Approval;
use nexus_core::run::Ending;

use crate::adapter::{Login, Look, adapter};
use crate::testing::{self, hear_lines, run};

const KIND: AgentKind = AgentKind::Copilot;

#[test]
fn recordings_are_understood() {
    testing::check(KIND, &[("auth", 1), ("limit", 1), ("plan", 1), ("nosession", 1)]);
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
        command: vec!["npx".to_owned(), "copilot".to_owned()],
        args: vec!["--no-custom-instructions".to_owned()],
        model: Some("gpt-9".to_owned()),
        env: [("COPILOT_HOME".to_owned(), "/home/agent/own".to_owned())].into(),
        ..AgentSpec::of(KIND)
    };
    insta::assert_snapshot!(testing::launch(KIND, &spec, |brief| {
        brief.resume = Some("a-session");
        brief.tools = None;
    }));
}

/// It says its session's name at the end alone, and the file is needed while it runs.
#[test]
fn its_session_is_known_from_the_start_and_new_each_time() {
    let of = |resume: Option<&'static str>| {
        let reader = testing::reader_of(KIND, |brief| brief.resume = resume);
        reader.side_file().unwrap().contains
    };
    let arg = |interruptions: u32| {
        testing::brief(&AgentSpec::of(KIND), |brief| {
            let mut entry = brief.entry.clone();
            entry.interruptions = interruptions;
            let brief = crate::adapter::Brief { entry: &entry, ..brief.clone() };
            adapter(KIND)
                .unwrap()
                .launch(&brief)
                .unwrap()
                .args
                .into_iter()
                .find(|arg| arg.contains("session-id"))
                .unwrap()
        })
    };
    assert_eq!(arg(0), format!("--session-id={}", of(None)));
    assert_ne!(arg(0), arg(1));
    assert_eq!(of(Some("a-session")), "a-session");
}

#[test]
fn what_was_broken_off_is_not_done() {
    let said = hear_lines(
        KIND,
        &[r#"{"type":"assistant.idle","data":{"aborted":true}}"#, r#"{"type":"result","sessionId":"s","exitCode":0}"#],
    );
    assert!(matches!(run(&said).ending(), Some(Ending::Failed(_))), "{said:?}");
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
    assert_eq!(look("GH_TOKEN", ""), Login::SignedIn("GH_TOKEN".to_owned()));
    assert_eq!(look("COPILOT_PROVIDER_BASE_URL", ""), Login::SignedIn("COPILOT_PROVIDER_BASE_URL".to_owned()));
    assert_eq!(look("", ".copilot/config.json"), Login::Unknown);
    assert!(matches!(look("", ""), Login::SignedOut(how) if how.starts_with("run ")));
}
