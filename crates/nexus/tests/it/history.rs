//! The history is a copy: made anew from the ledger it is the same.

use crate::support::{Company, WORK, at};

#[test]
fn made_anew_it_is_the_same() {
    let retry = "[retry]\nmax_attempts = 2\nbackoff = { initial = \"100ms\" }\n";
    let company = Company::with(&[("work", &format!("{WORK}\n{retry}"))]);
    let ids = [
        company.delegate(&["true"]),
        company.delegate(&["exit 1"]),
        company.delegate(&["--idempotency-key", "k", "test $NEXUS_ATTEMPT = 2"]),
    ];
    ids.iter().for_each(|id| drop(company.ended(id)));
    let running = company.gate("open");
    let cancelled = company.gate("never");
    company.run(&["cancel", &cancelled]).done();
    company.run(&["cancel", &running]).done();
    company.open("open");
    company.run(&["retry", &running]).done();
    company.becomes(&running, "completed");
    let lists = || {
        let all = company.json(&["list", "--all"]);
        let failed = company.json(&["list", "--status", "failed"]);
        (all, failed)
    };
    let before = lists();
    assert_eq!(at(&before.0, "total"), 5);
    let said = company.run(&["history", "rebuild"]).done();
    assert!(said.contains("5 tasks"), "{said}");
    assert_eq!(lists(), before);
    // And so it is when its file is gone.
    let place = company.stop();
    std::fs::remove_file(place.path("data/history.db")).unwrap();
    let company = Company::up(&place);
    assert_eq!(company.json(&["list", "--all"]), before.0);
}
