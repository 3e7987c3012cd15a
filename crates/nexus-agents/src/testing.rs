//! Shared by the tests of all adapters: a recording or a launch as a text to compare, and streams that are broken.

use std::fmt::Write as _;
use std::path::Path;

use nexus_core::agent::{AgentKind, AgentSpec};
use nexus_core::attempt::ExitStatus;
use nexus_core::department::Approval;
use nexus_core::id::{DepartmentName, Priority, TaskId};
use nexus_core::run::{Ending, Run, Said};
use nexus_core::task::{QueueEntry, Task};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::adapter::{Brief, Launch, Reader, ToolServer, adapter};

/// Reads all recordings of a kind and compares what is understood of each with its snapshot. A recording's exit code is 0
/// unless `exits` has another one for its case, such as `("auth", 1)`. What `KIND.CASE.stderr` holds is read as its standard
/// error, and what another `KIND.CASE.*` holds as its side file, both after its output.
pub(crate) fn check(kind: AgentKind, exits: &[(&str, i32)]) {
    for case in cases(kind) {
        let code = exits.iter().find(|(name, _)| *name == case).map_or(0, |(_, code)| *code);
        let said = hear(kind, &case, ExitStatus::Code(code));
        let name = format!("{}.{case}", kind.as_str());
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, told(&said));
        });
    }
}

/// Everything that a recording says.
pub(crate) fn hear(kind: AgentKind, case: &str, exit: ExitStatus) -> Vec<Said> {
    // A recording of a run that goes on with a session is called so.
    let mut reader = reader_of(kind, |brief| brief.resume = case.starts_with("resume").then_some("a-former-session"));
    let mut said = Vec::new();
    for line in lines(&recording(kind, case)) {
        reader.line(line, &mut said);
    }
    for line in lines(&side_file(kind, case)) {
        reader.side_line(line, &mut said);
    }
    for line in lines(&file(kind, case, "stderr").unwrap_or_default()) {
        reader.error_line(line, &mut said);
    }
    reader.finish(Some(exit), &mut said);
    said
}

/// The messages in these lines of standard output, before anything is known of an end.
pub(crate) fn hear_lines(kind: AgentKind, lines: &[&str]) -> Vec<Said> {
    let (mut reader, mut said) = (reader(kind), Vec::new());
    for line in lines {
        reader.line(line.as_bytes(), &mut said);
    }
    said
}

pub(crate) fn reader(kind: AgentKind) -> Box<dyn Reader> {
    reader_of(kind, |_| ())
}

/// The reader of a run whose brief is changed like this.
pub(crate) fn reader_of(kind: AgentKind, change: impl FnOnce(&mut Brief<'_>)) -> Box<dyn Reader> {
    brief(&AgentSpec::of(kind), |brief| {
        change(brief);
        adapter(kind).expect("an adapter of this kind").reader(brief)
    })
}

pub(crate) fn run(said: &[Said]) -> Run {
    let mut run = Run::new(None);
    for said in said {
        run.hear(said);
    }
    run
}

fn recordings() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings")
}

/// The cases there are recordings of, sorted.
pub(crate) fn cases(kind: AgentKind) -> Vec<String> {
    let names = std::fs::read_dir(recordings()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut cases: Vec<String> = names
        .filter_map(|name| {
            Some(name.strip_prefix(kind.as_str())?.strip_prefix('.')?.strip_suffix(".jsonl")?.to_owned())
        })
        .filter(|case| !case.contains('.'))
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "there are no recordings of {}", kind.as_str());
    cases
}

fn file(kind: AgentKind, case: &str, ends: &str) -> Option<Vec<u8>> {
    std::fs::read(recordings().join(format!("{}.{case}.{ends}", kind.as_str()))).ok()
}

fn side_file(kind: AgentKind, case: &str) -> Vec<u8> {
    let begins = format!("{}.{case}.", kind.as_str());
    let names = std::fs::read_dir(recordings()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let side = names
        .filter_map(|name| Some(name.strip_prefix(&begins)?.to_owned()))
        .find(|ends| !["jsonl", "stderr"].contains(&ends.as_str()));
    side.and_then(|ends| file(kind, case, &ends)).unwrap_or_default()
}

pub(crate) fn recording(kind: AgentKind, case: &str) -> Vec<u8> {
    file(kind, case, "jsonl").unwrap_or_else(|| panic!("no recording {}.{case}", kind.as_str()))
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// A run as a text: its report, then its tools in order, warnings, plain lines and its end.
pub(crate) fn told(said: &[Said]) -> String {
    let run = run(said);
    let report = run.report();
    let none = || "-".to_owned();
    let mut text = String::new();
    let mut line = |name: &str, value: String| writeln!(text, "{name}: {value}").unwrap();
    line("session", report.session.clone().unwrap_or_else(none));
    line("model", report.model.clone().unwrap_or_else(none));
    line("message", shortened(run.message().0));
    let tokens = report.tokens;
    line("tokens", format!("{} in, {} of them cached, {} out", tokens.input, tokens.cached, tokens.output));
    line("turns", report.turns.to_string());
    line("cost", report.cost_micros.map_or_else(none, |cost| format!("{cost} millionths")));
    for said in said {
        match said {
            Said::ToolStarted { id, name, about } => line("started", format!("{name} [{id}] {about}")),
            Said::ToolEnded { id, ok, about } => {
                line(if *ok { "ended" } else { "failed" }, format!("[{id}] {}", shortened(about)));
            }
            Said::Asked { what, allowed, .. } => line("asked", format!("{what}: {allowed}")),
            Said::Warning(warning) | Said::Anew(warning) => line("warning", shortened(warning)),
            Said::Plain(plain) => line("plain", shortened(plain)),
            _ => {}
        }
    }
    line("doing", report.doing.clone().unwrap_or_else(none));
    line("ending", run.ending().map_or_else(none, |ending| format!("{ending:?}")));
    text
}

fn shortened(text: &str) -> String {
    match text.chars().count() {
        0..=120 => text.to_owned(),
        n => format!("{} ... ({n} characters)", text.chars().take(100).collect::<String>()),
    }
}

/// Whatever is in a stream, nothing panics; a line of noise changes nothing of how a run ends; and a stream that breaks off
/// before its end never says that it is done.
pub(crate) fn survives(kind: AgentKind) {
    let recordings: Vec<Vec<u8>> =
        cases(kind).iter().map(|case| recording(kind, case)).filter(|recording| !recording.is_empty()).collect();
    let ending = |lines: &[Vec<u8>]| {
        let (mut reader, mut said) = (reader(kind), Vec::new());
        for line in lines {
            reader.line(line, &mut said);
        }
        run(&said).ending().cloned()
    };
    let json =
        prop::collection::vec(prop::sample::select(FRAGMENTS), 0..12).prop_map(|words| words.concat().into_bytes());
    let noise = prop_oneof![prop::collection::vec(any::<u8>(), 0..60), json];
    let strategy =
        (prop::sample::select(recordings), noise, any::<prop::sample::Index>(), any::<prop::sample::Index>());
    let mut runner = TestRunner::default();
    let test = |(recording, noise, line, byte): (Vec<u8>, Vec<u8>, prop::sample::Index, prop::sample::Index)| {
        let whole: Vec<Vec<u8>> = lines(&recording).map(<[u8]>::to_vec).collect();
        let at = line.index(whole.len());
        let expected = ending(&whole);
        let mut noisy = whole.clone();
        noisy.insert(at, noise.clone());
        prop_assert_eq!(&ending(&noisy), &expected, "with noise {:?}", String::from_utf8_lossy(&noise));

        let mut broken = whole[..=at].to_vec();
        let cut = byte.index(broken[at].len());
        broken[at].truncate(cut);
        let ended = ending(&broken);
        prop_assert!(ended != Some(Ending::Done) || ended == ending(&whole[..at]), "done by half a line");

        // One byte is another one: it may say anything, but nothing panics.
        let mut changed = whole;
        changed[at][cut] = noise.first().copied().unwrap_or(b'"');
        let _ = ending(&changed);
        let mut reader = reader(kind);
        let said = &mut Vec::new();
        reader.error_line(&noise, said);
        reader.side_line(&noise, said);
        reader.finish(None, said);
        Ok(())
    };
    runner.run(&strategy, test).unwrap();
}

/// JSON that looks like somebody's, of types that aren't.
const FRAGMENTS: &[&str] = &[
    "{\"type\":",
    "\"message\"",
    "\"error\"",
    ",\"message\":",
    "{\"id\":1",
    ",\"content\":[",
    "[",
    "]",
    "}",
    "null",
    "7",
    "-1e400",
    "\"x\"",
    ",\"usage\":{\"input_tokens\":-5",
    "{\"type\":\"unheard_of\"}",
    ",\"item\":{",
    ",\"data\":",
    ",\"event\":\"\"",
];

/// The brief of an attempt, for `change` to change; its launch as a text.
pub(crate) fn launch(kind: AgentKind, spec: &AgentSpec, change: impl FnOnce(&mut Brief<'_>)) -> String {
    let launch = brief(spec, |brief| {
        change(brief);
        adapter(kind).expect("an adapter of this kind").launch(brief)
    });
    let launch = launch.unwrap();
    assert!(!launch.args.iter().any(|arg| arg.contains(PROMPT)), "arguments can be read by everybody");
    assert!(!launch.env.iter().any(|(name, _)| name.starts_with("NEXUS_")), "those are the caller's to set");
    for (file, _) in &launch.files {
        assert!(file.starts_with(PRIVATE), "{}", file.display());
    }
    shown(&launch)
}

const PROMPT: &str = "You are an engineer.\n\nSay \"hi\"; $(rm)";
const PRIVATE: &str = "/data/private/1";

/// The brief of an attempt at a task, for `test` to use.
pub(crate) fn brief<T>(spec: &AgentSpec, test: impl FnOnce(&mut Brief<'_>) -> T) -> T {
    let tools = ToolServer {
        name: "nexus".to_owned(),
        command: "/opt/nexus".to_owned(),
        args: vec!["tools".to_owned(), "--socket".to_owned(), "/run/x y".to_owned()],
    };
    let entry = entry();
    let mut brief = Brief {
        spec,
        entry: &entry,
        prompt: PROMPT,
        workspace: Path::new("/workspace"),
        home: Path::new("/home/agent"),
        home_outside: Path::new("/data/homes/1"),
        private: Path::new(PRIVATE),
        resume: None,
        tools: Some(&tools),
        approval: Approval::Allow,
        confined: true,
        as_root: false,
    };
    test(&mut brief)
}

fn shown(launch: &Launch) -> String {
    let mut text = format!("{}\n", launch.program);
    for arg in &launch.args {
        writeln!(text, "  {arg}").unwrap();
    }
    for (name, value) in &launch.env {
        writeln!(text, "env {name}={value}").unwrap();
    }
    for (file, content) in &launch.files {
        writeln!(text, "file {}: {content}", file.display()).unwrap();
    }
    if let Some(dir) = &launch.side_dir {
        writeln!(text, "side {}", dir.display()).unwrap();
    }
    writeln!(text, "stdin {:?}", launch.stdin).unwrap();
    text
}

fn entry() -> QueueEntry {
    QueueEntry::first(Task {
        id: TaskId::from_idempotency_key("x"),
        department: DepartmentName::new("engineering").unwrap(),
        description: "Say \"hi\"; $(rm)".into(),
        task_type: "t".into(),
        project_path: "/".into(),
        context: None,
        preferred_agent: None,
        priority: Priority::DEFAULT,
        timeout_seconds: None,
        max_attempts: None,
        not_before: None,
        include_uncommitted: None,
        created_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        traceparent: None,
        parent: None,
    })
}
