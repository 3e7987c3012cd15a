//! Programs of agents that say their version, hang, fail, or aren't there.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use nexus_core::company::Delegation;
use nexus_core::restart::RestartPolicy;
use nexus_core::units::Span;

use super::*;

/// A company of one department with these coding agents, each a script.
fn company(dir: &Path, scripts: &[(&str, AgentKind, &str)]) -> Company {
    let agents: BTreeMap<_, _> = scripts
        .iter()
        .map(|(name, kind, script)| {
            let path = dir.join(name);
            if !script.is_empty() {
                std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
            let env = BTreeMap::from([("ANTHROPIC_API_KEY".to_owned(), "x".to_owned())]);
            let command = vec![path.to_str().unwrap().to_owned()];
            let spec = AgentSpec { command, env, ..AgentSpec::of(*kind) };
            (AgentName::new(*name).unwrap(), Arc::new(spec))
        })
        .collect();
    let qa = DepartmentName::new("qa").unwrap();
    let department = Department { agents: agents.keys().cloned().collect(), ..Department::default() };
    Company {
        name: "test".to_owned(),
        default_department: qa.clone(),
        departments: BTreeMap::from([(qa, Arc::new(department))]),
        agents,
        restart: RestartPolicy::default(),
        budget: nexus_core::budget::Budget::default(),
        delegation: Delegation::default(),
        retention: Span::from_secs(60),
        shutdown_grace: Span::from_secs(1),
    }
}

#[tokio::test]
async fn what_programs_say_of_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let touched = dir.path().join("touched");
    let command = format!("touch {}", touched.display());
    let scripts = [
        ("absent", AgentKind::Qwen, ""),
        ("claude", AgentKind::Claude, "test \"$1\" = --version && echo '9.9.9 (Claude Code)'"),
        ("fails", AgentKind::Codex, "echo 'needs node 22' >&2; exit 1"),
        ("hangs", AgentKind::Gemini, "read line && exec sleep 600; echo 1.2.3; exec sleep 600"),
        ("mine", AgentKind::Command, command.as_str()),
        ("old", AgentKind::Copilot, "echo 'GitHub Copilot CLI 0.0.1.'"),
    ];
    let began = tokio::time::Instant::now();
    let seen = survey(&company(dir.path(), &scripts)).await;
    assert!(began.elapsed() < PATIENCE * 3, "one after the other");
    let of = |name: &str| seen.iter().find(|seen| seen.agent.as_str() == name).unwrap();
    assert!(seen.iter().all(|seen| seen.departments.len() == 1));
    assert_eq!((of("absent").path.as_ref(), of("absent").is_usable()), (None, false));
    assert_eq!((of("claude").version.as_deref(), of("claude").fault.as_deref()), (Some("9.9.9"), None));
    assert!(
        of("claude").signed_in.is_some() && of("claude").is_usable() && of("claude").summary() == "9.9.9, signed in"
    );
    let fault = of("fails").fault.as_deref().unwrap();
    assert!(fault.ends_with("--version`: needs node 22"), "{fault}");
    let fault = of("hangs").fault.as_deref().unwrap();
    assert!(fault.contains("did not end within 10 s"), "{fault}");
    assert_eq!((of("old").version.as_deref(), of("old").older_than), (Some("0.0.1"), Some("1.0.102")));
    // A plain command is not started to be looked at.
    assert!(of("mine").is_usable() && of("mine").version.is_none() && !touched.exists());
}
