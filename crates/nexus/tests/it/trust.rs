//! A configuration that only lies where somebody stands is in force when it was trusted as it is.

use crate::support::{Place, Ran};

const STRANGERS: &str = "agents = [\"strangers\"]\nsandbox.level = \"none\"\nworkspace.mode = \"scratch\"\n";

/// A clone of a stranger's repository, which brings a configuration; `ran` is written by its agent.
fn clone() -> std::sync::Arc<Place> {
    let place = Place::new();
    std::fs::create_dir_all(place.path("project/departments")).unwrap();
    let agent = format!(
        "[agents.strangers]\nkind = \"command\"\ncommand = [\"touch\", {:?}]\nprompt = \"none\"\n",
        place.path("ran")
    );
    place.write(
        "project/nexus.toml",
        &format!(
            "default_department = \"hr\"\n{agent}[agents.claude]\ncommand = [\"touch\", {:?}]\n",
            place.path("ran")
        ),
    );
    place.write("project/departments/hr.toml", STRANGERS);
    place
}

fn run(place: &Place, args: &[&str]) -> Ran {
    place.nexus_anywhere(args).output().unwrap().into()
}

#[test]
fn a_clone_s_own_departments_run_nothing_until_they_are_trusted() {
    let place = clone();
    let ran = || place.path("ran").exists();
    let dir = place.text("project");
    let said = run(&place, &["run", "--agent", "shell", "echo mine"]);
    assert!(said.stderr.contains(&format!("nexus trust {dir}")), "{}", said.stderr);
    assert_eq!(said.done().trim(), "mine");
    run(&place, &["doctor"]);
    assert!(!ran());
    // It can be looked at before.
    let said = run(&place, &["config", "check"]);
    assert!(said.stderr.contains("not in force until"), "{}", said.stderr);
    assert!(said.done().contains("departments hr"));
    run(&place, &["trust"]).done();
    run(&place, &["run", "anything"]).done();
    assert!(ran());
    // Another file is another configuration.
    std::fs::remove_file(place.path("ran")).unwrap();
    place.write("project/departments/hr.toml", &format!("workers = 2\n{STRANGERS}"));
    let said = run(&place, &["run", "--agent", "shell", "echo mine"]);
    assert!(said.stderr.contains("changed since it was trusted"), "{}", said.stderr);
    assert!(!ran());
    run(&place, &["trust", "--remove"]).done();
}

#[test]
fn what_is_named_is_trusted() {
    let place = clone();
    run(&place, &["--config", ".", "run", "anything"]).done();
    assert!(place.path("ran").exists());
}

#[test]
fn there_has_to_be_something_to_trust() {
    let place = Place::new();
    run(&place, &["trust", &place.text("")]).fails(3, &["no `departments` directory"]);
    place.write("config/departments/work.toml", "workers = \"many\"\n");
    run(&place, &["trust", &place.text("config")]).fails(2, &["workers"]);
}
