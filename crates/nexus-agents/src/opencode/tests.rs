use nexus_core::agent::{AgentKind, AgentSpec};
use nexus_core::attempt::ExitStatus;
use nexus_core::department::Approval;
use nexus_core::event::FailureKind;
use nexus_core::run::{Ending, TroubleKind};

use crate::adapter::{Login, Look, adapter};
use crate::testing::{self, run};

const KIND: AgentKind = AgentKind::Opencode;

#[test]
fn recordings_are_understood() {
    testing::check(KIND, &[("auth", 1), ("limit", 1), ("refused", 1), ("sigint", 130), ("nosession", 1)]);
}

#[test]
fn whatever_it_prints_nothing_panics_and_nothing_is_done_that_is_not() {
    testing::survives(KIND);
}

#[test]
fn it_is_started_by_its_policy() {
    let mut all = String::new();
    let spec = AgentSpec::of(KIND);
    for approval in [Approval::Allow, Approval::Ask, Approval::Reject] {
        let launch = testing::launch(KIND, &spec, |brief| brief.approval = approval);
        all += &format!("# {approval:?}\n{launch}\n");
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_spec_changes_how_it_is_started() {
    let own = r#"{"mcp":{"other":{"type":"local","command":["x"]}},"permission":"ask","model":"a/b"}"#;
    let spec = AgentSpec {
        command: vec!["npx".to_owned(), "opencode".to_owned()],
        args: vec!["--agent".to_owned(), "build".to_owned()],
        model: Some("a/c".to_owned()),
        env: [("OPENCODE_CONFIG_CONTENT".to_owned(), own.to_owned())].into(),
        ..AgentSpec::of(KIND)
    };
    insta::assert_snapshot!(testing::launch(KIND, &spec, |brief| brief.resume = Some("ses_1")));
}

#[test]
fn it_needs_one_place_for_settings() {
    let both = ["OPENCODE_CONFIG_CONTENT", "OPENCODE_CONFIG"].map(|name| (name.to_owned(), "{}".to_owned()));
    let spec = AgentSpec { env: both.into(), ..AgentSpec::of(KIND) };
    let failure = testing::brief(&spec, |brief| adapter(KIND).unwrap().launch(brief)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Spawn);
    assert!(failure.message.contains("OPENCODE_CONFIG_CONTENT"), "{}", failure.message);
}

/// No event of its says that it is done.
#[test]
fn its_exit_and_its_last_step_say_how_it_ended() {
    let step =
        |reason: &str| format!(r#"{{"type":"step_finish","sessionID":"s","part":{{"id":"p","reason":"{reason}"}}}}"#);
    let begun = r#"{"type":"step_start","sessionID":"s","part":{}}"#.to_owned();
    let error = r#"{"type":"error","sessionID":"s","error":{"name":"UnknownError","data":{"message":"x"}}}"#.to_owned();
    let table = [
        (vec![step("stop")], Some(0), "done"),
        (vec![step("stop")], Some(1), "-"),
        (vec![step("stop")], None, "-"),
        (vec![step("tool-calls")], Some(0), "Protocol"),
        (vec![step("length")], Some(0), "Limit"),
        (vec![step("content-filter")], Some(0), "refused"),
        (vec![step("stop"), begun], Some(0), "-"),
        (vec![step("stop"), error], Some(0), "Model"),
        (vec![], Some(0), "-"),
    ];
    for (lines, code, expected) in table {
        let (mut reader, mut said) = (testing::reader(KIND), Vec::new());
        for line in &lines {
            reader.line(line.as_bytes(), &mut said);
        }
        reader.finish(code.map(ExitStatus::Code), &mut said);
        let ending = match run(&said).ending() {
            None => "-".to_owned(),
            Some(Ending::Done) => "done".to_owned(),
            Some(Ending::Refused(_)) => "refused".to_owned(),
            Some(Ending::Failed(trouble)) => format!("{:?}", trouble.kind),
        };
        assert_eq!(ending, expected, "{lines:?} {code:?}");
    }
}

#[test]
fn a_short_pause_is_waited_for_and_a_long_one_is_not() {
    let pause = |words: &str, small: bool| {
        let (mut reader, mut said) = (testing::reader(KIND), Vec::new());
        let line = format!(
            "timestamp=2026-11-25T19:20:01.084Z level=ERROR message=\"stream error\" providerID=x small={small} \
             agent=build error.error=\"AI_APICallError: Rate limit reached for m. Please try again in {words}.\""
        );
        reader.error_line(line.as_bytes(), &mut said);
        run(&said).ending().cloned()
    };
    assert_eq!(pause("20s", false), None);
    assert_eq!(pause("299s", true), None);
    let Some(Ending::Failed(trouble)) = pause("299s", false) else { panic!("it waits on") };
    assert_eq!(trouble.kind, TroubleKind::RateLimit);
    assert_eq!(trouble.reset.map(|reset| format!("{reset:?}")).as_deref(), Some("In(299s)"));
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
    assert_eq!(look("OPENAI_API_KEY", ""), Login::SignedIn("OPENAI_API_KEY".to_owned()));
    let file = ".local/share/opencode/auth.json";
    assert_eq!(look("", file), Login::SignedIn(format!("~/{file}")));
    assert_eq!(look("", ".config/opencode/opencode.json"), Login::Unknown);
    assert!(matches!(look("", ""), Login::SignedOut(how) if how.starts_with("run ")));
}
