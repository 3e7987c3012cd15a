//! Help and completions are there, for every command.

use crate::support::Place;

#[test]
fn completions() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = place.run(&["completions", shell]).done();
        for word in ["delegate", "departments", "data-dir"] {
            assert!(said.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn every_command_has_help() {
    let place = Place::new();
    let help = place.run(&["--help"]).done();
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names: Vec<_> = commands
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        // It is the other way to ask for it.
        .filter(|name| !name.is_empty() && *name != "help")
        .collect();
    assert!(names.len() >= 17, "{names:?}");
    for name in names {
        let said = place.run(&[name, "--help"]).done();
        assert!(said.contains("Usage: nexus"), "{said}");
    }
    assert!(help.contains("nexus run"), "{help}");
    assert_eq!(place.run(&["help"]).done(), help);
    assert_eq!(place.run(&["help", "run"]).done(), place.run(&["run", "--help"]).done());
    assert!(place.run(&["--version"]).done().starts_with("nexus "));
}
