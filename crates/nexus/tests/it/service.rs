//! `nexus service`: what a service manager is told. Nothing is started by it here.
#![cfg(target_os = "linux")]

use crate::support::{Place, at};

#[test]
fn a_unit_is_written_shown_and_taken_away() {
    let place = Place::new();
    let file = place.path(".config/systemd/user/nexus.service");
    let status = place.run(&["service", "status"]).done();
    assert!(status.starts_with("not installed  ") && status.contains("no company is up"), "{status}");
    let installed = place.run(&["service", "install"]);
    for words in ["systemctl --user enable --now nexus", "loginctl enable-linger"] {
        assert!(installed.stderr.contains(words), "{installed:?}");
    }
    assert_eq!(installed.done(), format!("written  {}\n", file.display()));
    let unit = std::fs::read_to_string(&file).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let program = env!("CARGO_BIN_EXE_nexus");
    let (data, config) = (place.text("data"), place.text("config"));
    let start = format!("ExecStart=\"{program}\" \"up\" \"--data-dir\" \"{data}\" \"--config\" \"{config}\"");
    assert!(unit.lines().any(|line| line == start), "{start}\n{unit}");
    assert_eq!(at(&place.json(&["service", "status"]), "installed"), true);
    let removed = place.run(&["service", "uninstall"]);
    assert!(removed.stderr.contains("systemctl --user stop nexus"), "{removed:?}");
    removed.done();
    assert!(!file.exists());
    assert!(place.run(&["service", "uninstall"]).done().starts_with("no service is installed"));
}
