//! Coding agents whose accounts are closed, and departments that have spent their day's budget: tasks wait and don't fail.

use std::sync::Arc;

use crate::support::processes::until;
use crate::support::{Company, Place, WORK, at};

/// A department that works by these scripted agents, the way of `more`.
fn place(agents: &[&str], more: &str) -> Arc<Place> {
    let listed: Vec<_> = agents.iter().map(|agent| format!("{agent:?}")).collect();
    let place = Place::with(&[("work", &format!("agents = [{}]\n{WORK}{more}", listed.join(", ")))]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/scripted_agent.py");
    let agent = |name: &&str| format!("[agents.{name}]\nkind = \"codex\"\ncommand = [\"python3\", \"{script}\"]\n");
    let agents: String = agents.iter().map(agent).collect();
    place.write("config/nexus.toml", &format!("shutdown_grace = \"300ms\"\n{agents}"));
    place
}

/// Waits until the department says that it takes no work, and why.
fn waits(company: &Company) -> String {
    until("a department that waits", || {
        let work = company.says_of("work")?;
        Some(work.get("waits")?.as_str()?.to_owned())
    })
}

fn state(company: &Company, agent: &str) -> String {
    let agents = company.json(&["agents"]);
    let found = at(&agents, "agents").as_array().unwrap().iter().find(|info| info["name"] == agent).cloned();
    at(&found.unwrap(), "state").as_str().unwrap().to_owned()
}

#[test]
fn a_rate_limit_closes_the_account_and_costs_no_attempt() {
    let company = Company::up(&place(&["scripted"], ""));
    let limited = company.delegate(&["--max-attempts", "1", "@failed rate limit reached: try again in 1 hour"]);
    let said = waits(&company);
    assert!(said.contains("scripted: rate limit until") && said.contains("try again in 1 hour"), "{said}");
    let status = company.becomes(&limited, "queued");
    assert_eq!((at(&status, "task.interruptions"), at(&status, "waits")), (&0.into(), &said.clone().into()));
    let fine: Vec<_> = (0..3).map(|_| company.delegate(&["@say fine"])).collect();
    assert!(company.run(&["status", &fine[0]]).done().contains("rate limit until"));
    assert_eq!(state(&company, "scripted"), "limited");

    // It survives whatever becomes of the company.
    let company = Company::up(&company.kill());
    assert_eq!(waits(&company), said);
    company.run(&["cancel", &limited]).done();
    assert_eq!(company.run(&["agents", "clear", "scripted"]).done(), "scripted is open\n");
    for task in fine {
        let ended = company.ended(&task);
        assert_eq!(
            (at(&ended, "task.status"), at(&ended, "task.attempt")),
            (&"completed".into(), &1.into()),
            "{ended:#}"
        );
    }
    company.stop();
}

#[test]
fn a_login_that_is_not_accepted_is_the_next_agent_s_chance_and_fails_when_there_is_none() {
    let company = Company::up(&place(&["scripted", "other"], "retry = { max_attempts = 3 }\n"));
    let refused = company.delegate(&["@failed 401 Unauthorized: invalid api key"]);
    let ended = company.ended(&refused);
    assert_eq!((at(&ended, "task.status"), at(&ended, "task.attempt")), (&"failed".into(), &1.into()), "{ended:#}");
    assert_eq!(at(&ended, "task.assigned_agent"), "other");
    assert_eq!([state(&company, "scripted"), state(&company, "other")], ["unhealthy", "unhealthy"]);
    let events = company.json(&["events", "--task", &refused]);
    let names: Vec<_> =
        events.as_array().unwrap().iter().map(|event| at(event, "what.type").as_str().unwrap()).collect();
    let names: Vec<_> = names.into_iter().filter(|name| *name != "progressed").collect();
    assert_eq!(names, ["started", "deferred", "started", "failed"]);
    assert!(waits(&company).contains("scripted: not signed in"));
    let waiting = company.delegate(&["@say fine"]);
    company.run(&["agents", "clear", "other"]).done();
    assert_eq!(at(&company.ended(&waiting), "task.assigned_agent"), "other");
    company.stop();
}

#[test]
fn a_budget_of_the_day_ends_what_runs_and_a_bigger_one_goes_on_with_it() {
    let place = place(&["scripted"], "[budget]\ntokens = 1000\n");
    let company = Company::up(&place);
    let gate = company.text("gate");
    let script = |first: u32, then: u32| {
        format!("@usage {first} 0\n@touch {gate}.{then}\n@await {gate}\n@usage {then} 0\n@await {gate}.end\n@say done")
    };
    // Two attempts at once: what both have spent counts.
    let tasks = [company.delegate(&[&script(100, 600)]), company.delegate(&[&script(100, 601)])];
    for then in [600, 601] {
        until("an agent", || company.path(&format!("gate.{then}")).exists().then_some(()));
    }
    company.open("gate");
    let said = waits(&company);
    assert!(said.contains("the department work has used up its budget of 1000 tokens"), "{said}");
    // The one that went over it has ended; the other hears of it with its next word, and its last one counts.
    until("a task that waits", || {
        tasks.iter().any(|task| at(&company.status(task), "task.status") == "queued").then_some(())
    });
    let waiting = company.delegate(&["@say fine"]);
    assert_eq!(at(&company.status(&waiting), "waits"), said.as_str());
    company.open("gate.end");
    place.department("work", &format!("agents = [\"scripted\"]\n{WORK}[budget]\ntokens = 100000\n"));
    for task in tasks.iter().chain([&waiting]) {
        let ended = company.ended(task);
        assert_eq!(
            (at(&ended, "task.status"), at(&ended, "task.attempt")),
            (&"completed".into(), &1.into()),
            "{ended:#}"
        );
        assert_eq!(at(&ended, "task.interruptions"), 0);
    }
    company.stop();
}
