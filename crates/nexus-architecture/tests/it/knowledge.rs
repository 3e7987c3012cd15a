//! Which crate alone knows a technology. Another one that wants it asks its owner for what it needs, in our own words.

use crate::workspace::{crates, report};

/// A dependency, the crates that may use it, and those whose tests may.
struct Knows {
    dependency: &'static str,
    owners: &'static [&'static str],
    in_tests: &'static [&'static str],
}

const fn only(dependency: &'static str, owners: &'static [&'static str]) -> Knows {
    Knows { dependency, owners, in_tests: &[] }
}

const KNOWLEDGE: &[Knows] = &[
    only("rmcp", &["nexus-mcp"]),
    only("agent-client-protocol", &["nexus-acp"]),
    only("axum", &["nexus-web"]),
    only("tower-http", &["nexus-web"]),
    only("ractor", &["nexus-runtime"]),
    only("minijinja", &["nexus-runtime"]),
    // The load generator measures the bus against the bare client.
    only("async-nats", &["nexus-bus", "nexus-bench"]),
    only("sqlx", &["nexus-history"]),
    // axum's own server knows no time limit for a request's head, and no place that is given up.
    only("hyper", &["nexus-proxy", "nexus-web"]),
    only("bollard", &["nexus-container"]),
    only("figment", &["nexus-config"]),
    only("sysinfo", &["nexus-process"]),
    only("ureq", &["nexus-broker"]),
    only("clap", &["nexus", "nexus-chaos"]),
    only("clap_complete", &["nexus"]),
    only("clap_mangen", &["nexus"]),
    only("console", &["nexus"]),
    only("indicatif", &["nexus"]),
    only("tracing-subscriber", &["nexus"]),
    // Errors that point at a place: in a file, or on the command line.
    only("miette", &["nexus", "nexus-config"]),
    // An error is a value that its caller can tell from others.
    only("anyhow", &[]),
    only("chrono", &[]),
];

/// Crates that nexus-core never uses: it has no async, no I/O, no clock and no log.
const NOT_IN_CORE: &[&str] = &["tokio", "tokio-util", "futures-util", "tracing", "rustix", "tempfile"];

#[test]
fn one_crate_knows_it() {
    let mut findings = Vec::new();
    for krate in crates() {
        for rule in KNOWLEDGE {
            let names = |dependency: &&String| dependency.as_str() == rule.dependency;
            let owners = if rule.owners.is_empty() { "nobody".to_owned() } else { rule.owners.join(" and ") };
            let name = krate.name.as_str();
            if krate.builds_with.iter().any(|d| names(&d)) && !rule.owners.contains(&name) {
                findings
                    .push(format!("{name} uses {}, which is {owners}'s: ask there in our own types", rule.dependency));
            }
            let may_test = rule.owners.contains(&name) || rule.in_tests.contains(&name);
            if krate.tests_with.iter().any(|d| names(&d)) && !may_test {
                findings.push(format!("{name}'s tests use {}, which is {owners}'s", rule.dependency));
            }
        }
    }
    report("only one crate knows each technology:", &findings);
}

#[test]
fn core_is_pure() {
    let core = crates().into_iter().find(|krate| krate.name == "nexus-core").expect("nexus-core is there");
    let impure = core.builds_with.iter().filter(|dependency| NOT_IN_CORE.contains(&dependency.as_str()));
    let findings: Vec<_> = impure.map(|d| format!("nexus-core uses {d}: leave that to the edge")).collect();
    report("nexus-core has no async, no I/O and no clock:", &findings);
}
