//! The history in Postgres.

use crate::support::{Company, Place, at};

mod server;

#[test]
fn a_company_works_with_it() {
    let Some(server) = server::Server::start() else {
        println!("skipped: Postgres is not installed");
        return;
    };
    let place = Place::new();
    let env = [("NEXUS_HISTORY__URL", server.url("postgres"))];
    let env = env.each_ref().map(|(name, url)| (*name, url.as_str()));
    let company = Company::up_with(&place, &[], &env);
    let done = company.delegate(&["echo works"]);
    company.becomes(&done, "completed");
    let failed = company.delegate(&["exit 1"]);
    company.becomes(&failed, "failed");
    assert_eq!(at(&company.json(&["list", "--status", "failed"]), "tasks.0.task_id"), failed.as_str());
    let before = company.json(&["list", "--all"]);
    company.run(&["history", "rebuild"]).done();
    assert_eq!(company.json(&["list", "--all"]), before);
    assert!(!company.path("data/history.db").exists());
    let company = Company::up_with(&company.stop(), &[], &env);
    assert_eq!(company.json(&["list", "--all"]), before);
    assert_eq!(company.run(&["run", "echo again"]).done(), "again\n");
}
