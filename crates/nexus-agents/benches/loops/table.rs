//! Recorded runs of all agents, read line by line. `nexus-costs` counts the same loops.
#![expect(clippy::unwrap_used, reason = "samples that are there; a measurement may panic")]

use std::hint::black_box;
use std::path::Path;

use nexus_agents::{Brief, Reader, adapter};
use nexus_core::agent::{AgentKind, AgentSpec};
use nexus_core::attempt::ExitStatus;
use nexus_core::department::Approval;
use nexus_core::stored::read;
use nexus_core::task::QueueEntry;

/// A name, and one round of it.
pub(crate) type Loop = (&'static str, Box<dyn FnMut()>);

const ENTRY: &[u8] = include_bytes!("../../../nexus-core/fixtures/v2/queue_entry.plain.json");

/// Runs in which something is written.
const RECORDINGS: &[(&str, AgentKind, &str)] = &[
    ("read_claude", AgentKind::Claude, include_str!("../../recordings/claude.write.jsonl")),
    ("read_codex", AgentKind::Codex, include_str!("../../recordings/codex.write.jsonl")),
    ("read_gemini", AgentKind::Gemini, include_str!("../../recordings/gemini.write.jsonl")),
    ("read_copilot", AgentKind::Copilot, include_str!("../../recordings/copilot.write.jsonl")),
    ("read_qwen", AgentKind::Qwen, include_str!("../../recordings/qwen.write.jsonl")),
    ("read_opencode", AgentKind::Opencode, include_str!("../../recordings/opencode.write.jsonl")),
];

pub(crate) fn all() -> Vec<Loop> {
    RECORDINGS.iter().map(|(name, kind, recording)| (*name, reading(*kind, recording))).collect()
}

/// A whole run.
fn reading(kind: AgentKind, recording: &'static str) -> Box<dyn FnMut()> {
    let entry: QueueEntry = read(ENTRY).unwrap();
    let spec = AgentSpec::of(kind);
    Box::new(move || {
        let (mut reader, mut said) = (reader(&spec, &entry), Vec::new());
        for line in recording.lines() {
            reader.line(black_box(line.as_bytes()), &mut said);
        }
        reader.finish(Some(ExitStatus::Code(0)), &mut said);
        black_box(said);
    })
}

fn reader(spec: &AgentSpec, entry: &QueueEntry) -> Box<dyn Reader> {
    let brief = Brief {
        spec,
        entry,
        prompt: "make check",
        workspace: Path::new("/workspace"),
        home: Path::new("/home/agent"),
        home_outside: Path::new("/data/homes/1"),
        private: Path::new("/data/private/1"),
        resume: None,
        tools: None,
        approval: Approval::Allow,
        confined: true,
        as_root: false,
    };
    adapter(spec.kind).unwrap().reader(&brief)
}
