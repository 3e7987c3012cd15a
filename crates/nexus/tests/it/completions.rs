//! Help and completions are there, for every command.

use crate::support::{Company, Place, Ran, WORK};

#[test]
fn completions() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = place.run(&["completions", shell]).done();
        assert!(said.contains("_NEXUS_COMPLETE") && said.contains("nexus"), "{shell}: {said}");
    }
}

/// What fish is offered for the last of these words, but for options.
fn offered(place: &Place, words: &[&str]) -> Vec<String> {
    let data = place.text("data");
    let words: Vec<_> = ["--", "nexus", "--data-dir", &data].iter().chain(words).copied().collect();
    let mut command = place.nexus_anywhere(&words);
    command.env("_NEXUS_COMPLETE", "fish").env("NEXUS_CONFIG", place.path("config"));
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.stderr, "");
    ran.done().lines().filter(|line| !line.starts_with('-')).map(str::to_owned).collect()
}

#[test]
fn tasks_departments_and_agents_are_completed_as_the_company_knows_them() {
    let place = Place::with(&[("work", WORK), ("docs", &format!("description = \"Writes.\"\n{WORK}"))]);
    // Without a company, and without starting one.
    assert_eq!(offered(&place, &["cancel", ""]), [""; 0]);
    let said = offered(&place, &["delegate", "-d", "d"]);
    assert_eq!(said, ["docs\tWrites."]);
    assert!(!place.path("data/company.json").exists());
    let company = Company::up(&place);
    let failed = company.delegate(&["exit 3"]);
    company.ended(&failed);
    let running = company.gate("open");
    let said = offered(&place, &["cancel", ""]);
    assert!(said.len() == 1 && said[0].starts_with(&format!("{}\trunning ", &running[..6])), "{said:?}");
    let said = offered(&place, &["retry", &failed[..2]]);
    assert!(said[0].starts_with(&format!("{}\tfailed ", &failed[..6])) && said[0].ends_with("exit 3"), "{said:?}");
    let said = offered(&place, &["logs", &failed[..9]]);
    assert!(said[0].starts_with(&format!("{failed}\tfailed ")), "{said:?}");
    assert_eq!(offered(&place, &["list", "-d", "w"]), ["work"]);
    assert!(offered(&place, &["run", "-a", "sh"])[0].starts_with("shell"));
    company.open("open");
}

#[test]
fn a_reader_of_completions_that_leaves_early_is_no_fault() {
    let place = Place::new();
    for args in [&["completions", "zsh"][..], &["man"], &["--help"]] {
        let mut child = place.nexus(args).spawn().unwrap();
        drop(child.stdout.take());
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn manual_pages() {
    let place = Place::new();
    let page = place.run(&["man"]).done();
    assert!(page.contains(".TH nexus 1") && page.contains("data\\-dir"), "{page}");
    place.run(&["man", &place.text("man")]).done();
    assert!(place.read("man/nexus-run.1").contains("max\\-attempts"));
    assert!(!place.path("man/nexus-guard.1").exists());
}

#[test]
fn a_help_is_about_its_command() {
    let place = Place::new();
    let help = place.run(&["cancel", "--help"]).done();
    assert!(help.contains("first characters") && help.contains("nexus --help"), "{help}");
    assert!(!help.contains("NEXUS_DATA_DIR") && help.lines().count() < 22, "{help}");
    assert!(place.run(&["--help"]).done().contains("--data-dir <DIR>"));
    for command in ["up", "run", "delegate", "status", "list", "logs", "apply"] {
        assert!(place.run(&[command, "--help"]).done().contains("Examples:\n  nexus "), "{command}");
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
