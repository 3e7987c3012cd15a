//! A bad edit changes nothing but what is said about it.

use crate::support::processes::until;
use crate::support::{Company, WORK, at};

#[test]
fn the_last_good_one_stays_until_it_is_mended() {
    let company = Company::new();
    company.department("work", &WORK.replace("workers = 2", "wrokers = 9"));
    let error = until("the error", || {
        let answer = company.json(&["departments"]);
        at(&answer, "config_error").as_str().map(str::to_owned)
    });
    assert!(error.contains("departments/work.toml:2") && error.contains("workers"), "{error}");
    assert!(company.read("log").contains("departments/work.toml:2"), "{}", company.read("log"));
    let said = company.run(&["departments"]).done();
    assert!(said.contains("departments/work.toml:2") && said.contains("last good"), "{said}");
    company.run(&["doctor"]).fails(9, &[]);
    assert_eq!(company.says_of("work").unwrap()["workers"], 2);
    assert_eq!(company.run(&["run", "echo works"]).done(), "works\n");

    company.department("work", &WORK.replace("workers = 2", "workers = 3"));
    until("three workers", || (company.says_of("work").unwrap()["workers"] == 3).then_some(()));
    assert!(at(&company.json(&["departments"]), "config_error").is_null());
}

#[test]
fn mended_to_what_it_was_clears_the_error() {
    let company = Company::new();
    company.department("work", "workers = ");
    let error = || !at(&company.json(&["departments"]), "config_error").is_null();
    until("the error", || error().then_some(()));
    company.department("work", WORK);
    until("no error", || (!error()).then_some(()));
    assert_eq!(company.run(&["run", "echo works"]).done(), "works\n");
}
