//! Accounts that are closed and budgets that are used up: tasks wait, nothing of them is used up, and they go on.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nexus_bus::Bus;
use nexus_core::account::{AccountRecord, AccountState};
use nexus_core::api::{AgentState, DepartmentInfo};
use nexus_core::budget::Budget;
use nexus_core::company::Company;
use nexus_core::department::Department;
use nexus_core::id::{AgentName, TaskId};
use nexus_core::refusal::RefusalKind;
use nexus_core::task::Submission;
use nexus_core::units::Span;
use nexus_core::view::{Status, TaskView};

use crate::company::{company, department};
use crate::support::{LIMIT, Office, Server, eventually};

fn name(text: &str) -> AgentName {
    AgentName::new(text).unwrap()
}

/// Two departments: qa of the agent `shell` and, behind it, of these others; product of the agent `other`.
fn shop(workers: u32, others: &[&str]) -> Company {
    let agents = [name("shell")].into_iter().chain(others.iter().map(|other| name(other))).collect();
    let qa = Department { agents, ..department(workers) };
    let product = Department { agents: vec![name("other")], ..department(1) };
    let mut company = company([("qa", qa), ("product", product)]);
    let shell = Arc::clone(&company.agents[&name("shell")]);
    company.agents.insert(name("other"), shell);
    company
}

fn after(seconds: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_secs(seconds)
}

/// The record of a node whose agent was told that it may not ask for more.
async fn limit(bus: &Bus, until: Timestamp) {
    let account = name("shell");
    let before = bus.account(&account).await.unwrap().map_or(0, |(seq, _)| seq);
    let state = AccountState::Limited { until, reason: "too many requests".to_owned() };
    let record = AccountRecord { state, ..AccountRecord::open(account, Timestamp::now()) };
    bus.write_account(&record, before).await.unwrap();
}

async fn qa(office: &Office) -> DepartmentInfo {
    let departments = office.client.departments().await.unwrap().departments;
    departments.into_iter().find(|department| department.name.as_str() == "qa").unwrap()
}

/// Waits until the department says that it waits, and what for.
async fn waits(office: &Office) -> String {
    eventually("waiting", async || qa(office).await.waits).await
}

async fn submit(office: &Office, submission: Submission) -> TaskId {
    office.client.submit(&submission).await.unwrap().task_id
}

/// Something else is done meanwhile: what could have been begun would have been.
async fn meanwhile(office: &Office) {
    for _ in 0..3 {
        let task = office.submit("product", "true").await;
        office.completed(task, (1, 0)).await;
    }
}

/// Waits until the node has heard that the account is closed.
async fn is_limited(office: &Office) {
    let is_limited = async || {
        let agents = office.client.agents().await.unwrap().agents;
        agents.iter().any(|agent| agent.state == AgentState::Limited).then_some(())
    };
    eventually("the closure", is_limited).await;
}

fn untouched(view: &TaskView) -> (Status, u32, u32) {
    (view.status, view.attempt, view.interruptions)
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_wait_for_an_account_and_go_on_when_it_is_opened_by_hand() {
    let server = Server::start().await;
    let office = server.open(shop(2, &[])).await;
    limit(&office.bus, after(3600)).await;
    let said = waits(&office).await;
    assert!(said.starts_with("shell: rate limit until ") && said.ends_with(": too many requests"), "{said}");
    let mut tasks = Vec::new();
    for _ in 0..20 {
        tasks.push(office.submit("qa", "true").await);
    }
    meanwhile(&office).await;
    for task in &tasks {
        let status = office.status(*task).await;
        assert_eq!(untouched(&status.task), (Status::Queued, 0, 0), "{status:?}");
        assert_eq!(status.waits.as_deref(), Some(&*said));
        assert_eq!(office.bus.last_event(*task).await.unwrap(), None);
    }
    let shell = office.client.agents().await.unwrap().agents.into_iter().find(|agent| agent.name == name("shell"));
    let shell = shell.unwrap();
    assert_eq!((shell.state, shell.reason.as_deref()), (AgentState::Limited, Some("too many requests")));
    assert_eq!(shell.departments.iter().map(ToString::to_string).collect::<Vec<_>>(), ["qa"]);

    let unknown = office.client.agents_clear("shall").await.unwrap_err();
    assert_eq!(unknown.kind, RefusalKind::UnknownAgent);
    let cleared = office.client.agents_clear("shell").await.unwrap();
    assert_eq!((cleared.state, cleared.until), (AgentState::Open, None));
    for task in tasks {
        office.completed(task, (1, 0)).await;
    }
    assert_eq!(qa(&office).await.waits, None);
    let (_, record) = office.bus.account(&name("shell")).await.unwrap().unwrap();
    assert_eq!(record.state, AccountState::Open);
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_closed_stays_closed_over_a_restart_and_opens_by_time() {
    let server = Server::start().await;
    let office = server.open(shop(1, &[])).await;
    let until = after(8);
    limit(&office.bus, until).await;
    waits(&office).await;
    let task = office.submit("qa", "true").await;
    office.stop().await;
    drop(office);
    let office = server.open(shop(1, &[])).await;
    assert!(qa(&office).await.waits.is_some() || Timestamp::now() >= until);
    let view = office.completed(task, (1, 0)).await;
    assert!(view.started_at.unwrap() >= until, "{view:?}");
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_asks_for_a_closed_agent_waits_and_the_others_go_to_the_next() {
    let server = Server::start().await;
    let office = server.open(shop(2, &["other"])).await;
    let until = after(6);
    limit(&office.bus, until).await;
    is_limited(&office).await;
    let asking = Submission { preferred_agent: Some("shell".to_owned()), ..office.work("qa", "true") };
    let asking = submit(&office, asking).await;
    let deferred = async || Some(office.status(asking).await.task).filter(|task| task.not_before.is_some());
    let view = eventually("a task that was put off", deferred).await;
    assert_eq!(untouched(&view), (Status::Queued, 0, 0), "{view:?}");
    assert!(view.error.unwrap().starts_with("shell: rate limit until "));
    assert!(view.not_before.unwrap() <= until);

    assert_eq!(qa(&office).await.waits, None);
    let any = office.submit("qa", "true").await;
    let view = office.completed(any, (1, 0)).await;
    assert_eq!(view.assigned_agent, Some(name("other")));

    let view = office.completed(asking, (1, 0)).await;
    assert_eq!(view.assigned_agent, Some(name("shell")));
    assert!(view.started_at.unwrap() >= until, "{view:?}");
    office.stop().await;
}

/// However far away the reset is: somebody may open the account before.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_asks_for_a_closed_agent_looks_again_soon() {
    let server = Server::start().await;
    let office = server.open(shop(1, &["other"])).await;
    limit(&office.bus, after(100_000)).await;
    is_limited(&office).await;
    let asking = Submission { preferred_agent: Some("shell".to_owned()), ..office.work("qa", "sleep 1000") };
    let asking = submit(&office, asking).await;
    let deferred = async || office.status(asking).await.task.not_before;
    let due = eventually("a task that was put off", deferred).await;
    assert!(due <= after(310), "{due}");
    office.client.cancel(&nexus_core::api::CancelRequest { task_id: asking.to_string(), reason: None }).await.unwrap();
    assert_eq!(office.end(asking).await.status, Status::Cancelled);
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_nodes_hear_of_it() {
    let server = Server::start().await;
    let (first, second) = (server.open_node(shop(1, &[]), "one").await, server.open_node(shop(1, &[]), "two").await);
    limit(&first.bus, after(3600)).await;
    waits(&first).await;
    // The other one, which can't be asked, has heard of it when a task stays where it is.
    let stays = async || {
        let task = first.submit("qa", "true").await;
        meanwhile(&first).await;
        (first.status(task).await.task.status == Status::Queued).then_some(())
    };
    eventually("a task that waits", stays).await;
    let mut tasks = Vec::new();
    for _ in 0..8 {
        tasks.push(first.submit("qa", "true").await);
    }
    meanwhile(&first).await;
    for task in &tasks {
        assert_eq!(untouched(&first.status(*task).await.task), (Status::Queued, 0, 0));
    }
    second.client.agents_clear("shell").await.unwrap();
    for task in tasks {
        second.completed(task, (1, 0)).await;
    }
    for office in [&first, &second] {
        office.runtime.stop(Duration::ZERO);
    }
    for office in [&first, &second] {
        tokio::time::timeout(LIMIT, office.runtime.ended()).await.unwrap().unwrap();
    }
}

fn budget(wall_time: u64) -> Company {
    let budget = Budget { wall_time: Some(Span::from_secs(wall_time)), ..Budget::default() };
    let mut company = shop(1, &[]);
    let qa = Department { budget, ..Department::clone(&company.departments[&company.default_department]) };
    company.departments.insert(company.default_department.clone(), Arc::new(qa));
    company
}

#[tokio::test(flavor = "multi_thread")]
async fn a_department_over_its_budget_takes_no_more_work_until_there_is_a_bigger_one() {
    let server = Server::start().await;
    let office = server.open(budget(1)).await;
    // On a machine that is slow to start it, it is ended before it is done, and waits too.
    let first = office.submit("qa", "sleep 1.1").await;
    let said = waits(&office).await;
    let is_over = async || (office.status(first).await.task.status != Status::Running).then_some(());
    eventually("the end of an attempt", is_over).await;
    let expected = "its budget of today is used up (the department qa has used up its budget of 1s of agents' time), \
                    until 00:00 UTC";
    assert_eq!(said, expected);
    let second = office.submit("qa", "true").await;
    meanwhile(&office).await;
    assert_eq!(untouched(&office.status(second).await.task), (Status::Queued, 0, 0));
    office.stop().await;
    drop(office);

    let office = server.open(budget(1)).await;
    assert_eq!(qa(&office).await.waits.as_deref(), Some(expected), "known at once");
    meanwhile(&office).await;
    assert_eq!(office.status(second).await.waits.as_deref(), Some(expected));
    let agents = office.client.agents().await.unwrap().agents;
    let spent = agents.iter().find(|agent| agent.name == name("shell")).unwrap().spent_today;
    assert!(spent.wall_ms >= 1000, "{spent:?}");
    office.runtime.reload(budget(3600));
    office.completed(first, (1, 0)).await;
    office.completed(second, (1, 0)).await;
    assert_eq!(qa(&office).await.waits, None);
    office.stop().await;
}
