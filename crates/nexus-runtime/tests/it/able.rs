//! A task for an agent that no node has is refused; one that another node has is taken.

use std::sync::Arc;
use std::time::Duration;

use nexus_core::agent::{AgentKind, AgentSpec};
use nexus_core::company::Company;
use nexus_core::department::Department;
use nexus_core::id::AgentName;
use nexus_core::refusal::RefusalKind;
use nexus_core::task::Submission;

use crate::company::{company, department};
use crate::support::{Office, Server, eventually, within};

fn coder() -> AgentName {
    AgentName::new("coder").unwrap()
}

/// A company whose one department works by this program.
fn shop(program: &str) -> Company {
    let mut company = company([("qa", Department { agents: vec![coder()], ..department(1) })]);
    let spec = AgentSpec { command: vec![program.to_owned()], ..AgentSpec::of(AgentKind::Command) };
    company.agents.insert(coder(), Arc::new(spec));
    company
}

/// Waits until so many nodes have said which agents they have, and some has this one.
async fn told(office: &Office, nodes: usize, is_there: bool) {
    let said = async || {
        let nodes_now = office.bus.nodes().await.unwrap();
        let said: Vec<_> = nodes_now.into_iter().filter_map(|(_, state)| state.holder?.agents).collect();
        let has = said.iter().any(|agents| agents.contains(&coder()));
        (said.len() == nodes && has == is_there).then_some(())
    };
    eventually("the agents of all nodes", said).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_node_could_do_is_refused_and_what_another_could_is_taken() {
    let server = Server::start().await;
    let first = server.open_node(shop("no-such-program-anywhere"), "one").await;
    told(&first, 1, false).await;
    let refusal = first.client.submit(&first.work("qa", "true")).await.unwrap_err();
    assert_eq!(
        (refusal.kind, refusal.message.as_str()),
        (RefusalKind::NoAgent, "the agent coder of the department qa is not installed")
    );
    let named = Submission { preferred_agent: Some("coder".to_owned()), ..first.work("qa", "true") };
    let refusal = first.client.submit(&named).await.unwrap_err();
    assert_eq!((refusal.kind, refusal.message.as_str()), (RefusalKind::NoAgent, "the agent coder is not installed"));
    assert!(refusal.help.unwrap().contains("install `no-such-program-anywhere`"));

    let second = server.open_node(shop("true"), "two").await;
    told(&first, 2, true).await;
    first.client.submit(&named).await.unwrap();
    for office in [&first, &second] {
        office.runtime.stop(Duration::ZERO);
    }
    for office in [&first, &second] {
        within("the end", office.runtime.ended()).await.unwrap();
    }
}
