//! A program that can't be started: the error says which, why, and the way out.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nexus_process::{Command, OutputPolicy, SpawnError, Tree, user_environment};

use crate::support::run;

fn error(command: &Command) -> SpawnError {
    Tree::spawn(command, &OutputPolicy::default()).map(|_| ()).unwrap_err()
}

fn file(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn each_cause_has_its_own_error() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    file(&at("plain"), "#!/bin/sh\n", 0o644);
    file(&at("orphan"), "#!/nowhere/interpreter\n", 0o755);
    file(&at("noise"), "\x01\x02\x03", 0o755);
    let command = |program: &str| Command::new(program, directory.path()).env([("PATH", "/usr/bin:/bin")]);

    let missing = error(&command("no-such-agent"));
    assert!(matches!(missing, SpawnError::NotInPath { .. }), "{missing}");
    assert!(missing.to_string().contains("`no-such-agent`") && missing.to_string().contains("/usr/bin:/bin"));
    assert!(matches!(error(&command("./nothing")), SpawnError::NotFound(path) if path.ends_with("nothing")));
    assert!(matches!(error(&command("./plain")), SpawnError::NotExecutable(_)));
    assert!(matches!(error(&command("./orphan")), SpawnError::Interpreter(_)));
    assert!(matches!(error(&command("./noise")), SpawnError::Format(_)));
    assert!(matches!(error(&command("")), SpawnError::NotInPath { .. }));
    let nowhere = Command::new("true", at("nowhere")).env([("PATH", "/usr/bin:/bin")]);
    assert!(matches!(error(&nowhere), SpawnError::Directory { .. }));
    let long = command("true").args(["x".repeat(4 << 20)]);
    assert!(matches!(error(&long), SpawnError::TooLong(_)), "{}", error(&long));
}

#[tokio::test]
async fn programs_are_found_as_a_shell_finds_them() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("bin")).unwrap();
    file(&directory.path().join("bin/agent"), "#!/bin/sh\necho here\n", 0o755);
    let in_path = Command::new("agent", directory.path()).env([("PATH", "/nowhere:bin")]);
    assert_eq!(run(&in_path).await.stdout, ["here"]);
    assert_eq!(run(&Command::new("bin/agent", directory.path())).await.stdout, ["here"]);
}

#[tokio::test]
async fn values_of_variables_are_not_shown() {
    let command = Command::new("true", "/").env([("TOKEN", "hunter2")]).args(["hunter2"]);
    let shown = format!("{command:?}");
    assert!(shown.contains("TOKEN") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn the_environment_is_a_short_list() {
    let names = |pass: &[&str]| -> Vec<String> {
        let pass: Vec<String> = pass.iter().map(ToString::to_string).collect();
        user_environment(&pass).into_iter().map(|(name, _)| name.into_string().unwrap()).collect()
    };
    // Cargo and nextest set CARGO_MANIFEST_DIR for every test.
    assert!(names(&[]).contains(&"PATH".to_owned()));
    assert!(!names(&[]).contains(&"CARGO_MANIFEST_DIR".to_owned()));
    assert!(names(&["CARGO_MANIFEST_DIR"]).contains(&"CARGO_MANIFEST_DIR".to_owned()));
}
