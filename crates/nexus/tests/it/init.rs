//! `nexus init`: a configuration that works as it is written, and is trusted.

use crate::support::{Place, Ran, at};

#[test]
fn what_it_writes_is_in_force_there_and_says_what_the_built_in_company_does() {
    let place = Place::new();
    let data = place.text("share");
    let here = |args: &[&str]| {
        let mut command = place.nexus_anywhere(args);
        Ran::from(command.env("XDG_DATA_HOME", &data).env_remove("NEXUS_AGENTS__SHELL__COMMANDS").output().unwrap())
    };
    let departments =
        |shown: &str| shown.lines().filter(|line| line.starts_with('[')).map(ToOwned::to_owned).collect::<Vec<_>>();
    let built_in = here(&["config", "show"]).done();
    let said = here(&["init"]).done();
    for file in ["nexus.toml", "departments/engineering.toml", "departments/roles/qa.md"] {
        assert!(said.contains(&format!("wrote  {file}\n")), "{said}");
        assert!(!place.read(&format!("project/{file}")).contains("#:schema"), "{file}");
    }
    let shown = here(&["config", "show"]);
    assert!(!shown.stderr.contains("nexus trust"), "{}", shown.stderr);
    let shown = shown.done();
    assert!(shown.contains("departments/engineering.toml") && !shown.contains("built-in"), "{shown}");
    assert_eq!(departments(&shown), departments(&built_in));
    assert!(here(&["config", "check"]).done().starts_with("ok  "));
    let own = place.text(".config/nexus");
    let said = here(&["init", &own]);
    assert!(said.stderr.contains("wherever you stand") && !said.stderr.contains("nexus trust"), "{}", said.stderr);
    here(&["init"]).fails(4, &["nexus.toml is there already", "nothing was written"]);
}

#[test]
fn another_directory_is_made_and_nothing_of_another_s_is_touched() {
    let place = Place::new();
    let made = place.json(&["init", &place.text("project/company")]);
    assert_eq!(at(&made, "dir"), &place.text("project/company"));
    assert_eq!(at(&made, "files").as_array().unwrap().len(), 7);
    std::fs::create_dir_all(place.path("project/other/departments")).unwrap();
    place.run(&["init", &place.text("project/other")]).fails(4, &["departments is there already"]);
    assert!(!place.path("project/other/nexus.toml").exists());
}
