//! The limits of an account: some are waited for, keys are refused, budgets end a run.

use serde_json::Value;

use super::{KEY, Scene, UNCONFINED, failure, status};
use crate::support::processes::{PATIENCE, until, until_within};
use crate::support::{Company, at};

/// The company's word on the agent.
fn account(company: &Company) -> Value {
    let agents = company.json(&["agents"]);
    at(&agents, "agents").as_array().unwrap().iter().find(|info| info["name"] == "codex").cloned().unwrap()
}

fn becomes(company: &Company, state: &str) -> Value {
    until(&format!("an account that is {state}"), || Some(account(company)).filter(|info| info["state"] == state))
}

#[test]
fn a_short_limit_is_waited_for() {
    let Some(scene) = Scene::new("") else { return };
    let company = scene.up();
    let task = company.delegate(&["--max-attempts", "1", "[[usage:1000,10]] [[limit:3]] [[text:After it.]]"]);
    let answer = company.ended(&task);
    assert_eq!(status(&answer), ("completed", 1, 0), "{answer:#}");
    assert_eq!(at(&answer, "task.result.output"), "After it.");
    assert!(scene.model.errors(KEY) > 0);
    // It was no matter of the company's.
    assert_eq!(account(&company)["state"], "open");
    company.stop();
}

/// Longer than a minute: the agent isn't left to wait for it.
fn limited(company: &Company, seconds: u32) -> String {
    let task = company.delegate(&["--max-attempts", "1", &format!("[[limit:{seconds}]] [[text:After it.]]")]);
    let info = becomes(company, "limited");
    let time = |name| at(&info, name).as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let closed = time("until").duration_since(time("since")).as_secs();
    // What Retry-After said, less what has passed since.
    assert!((i64::from(seconds) - 3..=i64::from(seconds) + 1).contains(&closed), "{info:#}");
    let waits = company.becomes(&task, "queued");
    assert!(at(&waits, "waits").as_str().unwrap().contains("codex: rate limit until"), "{waits:#}");
    task
}

#[test]
fn a_long_limit_closes_the_account_until_its_reset_and_costs_no_attempt() {
    let Some(scene) = Scene::new("") else { return };
    let company = scene.up();
    let task = limited(&company, 64);
    let asked = scene.model.requests(KEY);
    until_within(2 * PATIENCE, "a reset", || {
        let now = scene.model.requests(KEY);
        let open = account(&company)["state"] == "open";
        assert!(open || now == asked, "it was asked while it was closed");
        open.then_some(())
    });
    let answer = company.ended(&task);
    assert_eq!(status(&answer), ("completed", 1, 0), "{answer:#}");
    assert_eq!(at(&answer, "task.result.output"), "After it.");
    company.stop();
}

#[test]
fn a_long_limit_is_over_when_somebody_says_so() {
    let Some(scene) = Scene::new("") else { return };
    let company = scene.up();
    let task = limited(&company, 600);
    scene.model.open();
    company.run(&["agents", "clear", "codex"]).done();
    let answer = company.ended(&task);
    assert_eq!(status(&answer), ("completed", 1, 0), "{answer:#}");
    assert_eq!(at(&answer, "task.result.output"), "After it.");
    assert_eq!(account(&company)["state"], "open");
    company.stop();
}

#[test]
fn a_key_that_is_refused_costs_no_retries() {
    let Some(scene) = Scene::with(&["work"], UNCONFINED, "bad-key") else { return };
    let company = scene.up();
    let task = company.delegate(&["[[text:Never said.]]"]);
    let answer = company.ended(&task);
    assert_eq!(status(&answer), ("failed", 1, 0), "{answer:#}");
    assert_eq!(failure(&company, &task), "authentication");
    becomes(&company, "unhealthy");
    // It asks again by itself; the company doesn't wait for that.
    let asked = scene.model.requests("bad-key");
    assert!((1..=3).contains(&asked), "{asked} requests");
    company.stop();
    assert_eq!(scene.model.requests("bad-key"), asked);
}

#[test]
fn a_budget_is_overspent_by_one_turn_at_most() {
    let Some(scene) = Scene::new("limits.tokens = 5000\n") else { return };
    let company = scene.up();
    let task = company.delegate(&["[[usage:1000,100]] [[loop:50|echo go]] [[text:Never said.]]"]);
    let answer = company.ended(&task);
    assert_eq!(status(&answer), ("failed", 1, 0), "{answer:#}");
    assert_eq!(failure(&company, &task), "budget");
    // 1100 a turn: the fifth goes over it, and one more may be under way.
    let asked = scene.model.requests(KEY);
    println!("{asked} turns");
    assert!((5..=6).contains(&asked), "{asked} turns");
    let counted = ["input", "output"].map(|which| at(&answer, &format!("task.run.tokens.{which}")).as_u64().unwrap());
    let spent: u64 = counted.iter().sum();
    assert!((5500..=6600).contains(&spent) && spent.is_multiple_of(1100), "{spent} tokens: {answer:#}");
    company.stop();
    assert_eq!(scene.model.requests(KEY), asked);
}
