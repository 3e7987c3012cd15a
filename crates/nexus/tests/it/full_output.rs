//! Standard output that can't be written is an error of every command that prints, and a reader that has gone is none.
#![cfg(target_os = "linux")]

use std::fs::File;

use crate::support::{Company, Ran};

const COMMANDS: [&[&str]; 16] = [
    &["list"],
    &["list", "--all"],
    &["-o", "json", "list"],
    &["-o", "ndjson", "departments"],
    &["departments"],
    &["agents"],
    &["workers"],
    &["doctor"],
    &["health"],
    &["config", "check"],
    &["config", "schema"],
    &["completions", "bash"],
    &["delegate", "true"],
    &["run", "echo out"],
    &["--help"],
    &["--version"],
];

#[test]
fn an_answer_that_can_t_be_written_is_an_error() {
    let company = Company::new();
    for args in COMMANDS {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ran: Ran = company.nexus(args).stdout(full).output().unwrap().into();
        assert_eq!(ran.code, Some(1), "{args:?}: {ran:#?}");
        assert!(ran.stderr.contains("could not be written to standard output: No space left"), "{args:?}: {ran:#?}");
    }
    // What was done is said, in whatever form the answer was to be.
    for output in ["human", "json"] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ran: Ran = company.nexus(&["-o", output, "delegate", "true"]).stdout(full).output().unwrap().into();
        let id = ran.stderr.split("task ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        company.becomes(id, "completed");
    }
    // Nobody can be told, and the code still says it.
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let ran: Ran = company.nexus(&["list"]).stdout(full()).stderr(full()).output().unwrap().into();
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    let ran: Ran = company.nexus(&["status", "nope"]).stderr(full()).output().unwrap().into();
    assert_eq!(ran.code, Some(3), "{ran:#?}");
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let company = Company::new();
    for args in COMMANDS.into_iter().filter(|args| *args != ["doctor"]) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran: Ran = company.nexus(args).stdout(writer).output().unwrap().into();
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:#?}");
        assert!(!ran.stderr.contains("error"), "{args:?}: {ran:#?}");
    }
}
