//! The most urgent first, and the others not never.

use crate::support::{Company, WORK};

#[test]
fn nine_runs_before_one() {
    let company = Company::with(&[("work", &WORK.replace("workers = 2", "workers = 1"))]);
    company.gate("open");
    let order = company.text("order");
    let ids: Vec<_> = ["1", "9"]
        .iter()
        .flat_map(|priority| (0..6).map(move |_| priority))
        .map(|priority| company.delegate(&["--priority", priority, &format!("echo {priority} >> {order}")]))
        .collect();
    company.open("open");
    ids.iter().for_each(|id| drop(company.ended(id)));
    let order = company.read("order");
    let order: Vec<_> = order.lines().collect();
    assert_eq!(order.len(), 12);
    // Of eight pulls one is for a lower priority, so that those are not starved; it may fall among these.
    assert!(order[..6].iter().filter(|priority| **priority == "1").count() <= 1, "{order:?}");
    company.run(&["delegate", "--priority", "10", "true"]).fails(2, &["priority"]);
}
