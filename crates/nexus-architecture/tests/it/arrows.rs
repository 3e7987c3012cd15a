//! Who may depend on whom.

use std::collections::BTreeMap;

use crate::workspace::{crates, report};

/// Each crate and what it is built with, of this workspace. The order is the order of layers, top first.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "nexus",
        &[
            "nexus-mcp",
            "nexus-web",
            "nexus-runtime",
            "nexus-config",
            "nexus-bus",
            "nexus-broker",
            // Diff, apply and clean are done by the command, on the machine that has the workspace.
            "nexus-workspace",
            "nexus-process",
            "nexus-core",
        ],
    ),
    // A client of the built program; it starts a broker for two nodes, and otherwise spawns as a user does.
    ("nexus-chaos", &["nexus-bus", "nexus-broker", "nexus-core"]),
    // A client of the built program too, which bench/ drives; a floor of it starts programs as the built one does.
    ("nexus-bench", &["nexus-bus", "nexus-process", "nexus-core"]),
    // Measures the inner loops of those that have one.
    ("nexus-costs", &["nexus-bus", "nexus-agents", "nexus-process", "nexus-core"]),
    // Never runtime: a command, a tool call and a click all come in by bus::Client.
    ("nexus-mcp", &["nexus-bus", "nexus-core"]),
    ("nexus-web", &["nexus-bus", "nexus-core"]),
    (
        "nexus-runtime",
        &[
            "nexus-bus",
            "nexus-acp",
            "nexus-agents",
            "nexus-container",
            "nexus-process",
            "nexus-proxy",
            "nexus-workspace",
            "nexus-history",
            "nexus-core",
        ],
    ),
    ("nexus-broker", &["nexus-process", "nexus-core"]),
    ("nexus-workspace", &["nexus-process", "nexus-core"]),
    ("nexus-config", &["nexus-core"]),
    ("nexus-bus", &["nexus-core"]),
    // An agent's stream is read as an adapter reads it, and its errors are what everybody's are.
    ("nexus-acp", &["nexus-agents", "nexus-core"]),
    ("nexus-agents", &["nexus-core"]),
    ("nexus-proxy", &["nexus-core"]),
    ("nexus-container", &["nexus-process", "nexus-core"]),
    ("nexus-process", &["nexus-warden", "nexus-core"]),
    ("nexus-history", &["nexus-core"]),
    // Tests alone, which let nexus-core decide.
    ("nexus-sim", &["nexus-core"]),
    ("nexus-core", &[]),
    // A program of its own, linked statically: it knows nothing of a company.
    ("nexus-warden", &[]),
    ("nexus-architecture", &[]),
];

/// Crates that tests may use beyond that. Everything that talks to NATS is tested against a real server, which is nexus-broker's
/// to start; a process to be sent work to is started through nexus-process.
const FOR_TESTS: &[&str] = &["nexus-broker", "nexus-process"];

fn allowed(name: &str) -> Option<&'static [&'static str]> {
    ARROWS.iter().find(|(from, _)| *from == name).map(|(_, to)| *to)
}

#[test]
fn every_arrow_is_drawn() {
    let mut findings = Vec::new();
    for krate in crates() {
        let name = &krate.name;
        let Some(to) = allowed(name) else {
            findings.push(format!("{name} is new: give it a row in ARROWS and a sentence in docs/architecture.md"));
            continue;
        };
        let ours = |dependency: &&String| *dependency == "nexus" || dependency.starts_with("nexus-");
        for dependency in krate.builds_with.iter().filter(ours).filter(|d| !to.contains(&d.as_str())) {
            findings.push(format!("{name} -> {dependency}: pass what it needs as a value or a trait's object instead"));
        }
        let tests = |d: &&String| !to.contains(&d.as_str()) && !FOR_TESTS.contains(&d.as_str()) && *d != name;
        for dependency in krate.tests_with.iter().filter(ours).filter(tests) {
            findings.push(format!("{name} -> {dependency} in tests: such a test belongs to a crate that knows both"));
        }
    }
    report("docs/architecture.md draws no such arrow:", &findings);
}

#[test]
fn the_table_has_no_dead_rows() {
    let crates: BTreeMap<_, _> = crates().into_iter().map(|krate| (krate.name.clone(), krate)).collect();
    let gone = ARROWS.iter().filter(|(from, _)| !crates.contains_key(*from));
    let findings: Vec<_> = gone.map(|(from, _)| format!("{from} is gone: take its row out of ARROWS")).collect();
    report("ARROWS names crates that don't exist:", &findings);
}

#[test]
fn arrows_point_down() {
    let layer = |name: &str| ARROWS.iter().position(|(from, _)| *from == name);
    let up = ARROWS.iter().flat_map(|(from, to)| to.iter().map(move |to| (*from, *to)));
    let up = up.filter(|(from, to)| layer(from) >= layer(to));
    let findings: Vec<_> = up.map(|(from, to)| format!("{from} -> {to}")).collect();
    report("the table of arrows must be in the order of layers, top first:", &findings);
}
