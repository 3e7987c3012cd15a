//! `[[on]]`: any subject becomes work, by a template that fails loudly, and the same message once.

use nexus_core::api::ListRequest;
use nexus_core::department::{Department, Trigger};
use nexus_core::id::Priority;
use nexus_core::refusal::RefusalKind;
use nexus_core::view::TaskView;

use crate::company::{company, department};
use crate::support::{Office, Server, eventually};
use crate::wire::Wire;

fn on(subject: &str, description: &str) -> Trigger {
    Trigger {
        subject: subject.into(),
        description: description.into(),
        task_type: "bug_fix".into(),
        project_path: env!("CARGO_MANIFEST_DIR").into(),
        agent: None,
        priority: Priority::new(7).unwrap(),
    }
}

async fn tasks(office: &Office) -> Vec<TaskView> {
    office.client.list(&ListRequest::default()).await.unwrap().tasks
}

/// Publishes until it has become a task: nothing keeps what comes before the company listens. The id makes it one.
async fn become_task(office: &Office, wire: &mut Wire, subject: &str, payload: &str, description: &str) -> TaskView {
    eventually("a task", async || {
        wire.publish(subject, &["Nats-Msg-Id: 1"], payload).await;
        tasks(office).await.into_iter().find(|task| task.description == description)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_becomes_a_task_once() {
    let server = Server::start().await;
    let on = vec![on("ci.*.failed", "echo {{ subject }} {{ data.repo.name }} {{ data.log[1] }}")];
    let office = server.open(company([("qa", Department { on, ..department(1) })])).await;
    let mut wire = Wire::open(&server).await;
    let payload = r#"{"repo":{"name":"nexus"},"log":["a","b"]}"#;
    let task = become_task(&office, &mut wire, "ci.build.failed", payload, "echo ci.build.failed nexus b").await;
    assert_eq!((task.task_type.as_str(), task.priority.get(), task.department.as_str()), ("bug_fix", 7, "qa"));
    let view = office.completed(task.task_id, (1, 0)).await;
    assert_eq!(view.result.unwrap().output, "ci.build.failed nexus b\n");
    // The same id on another subject is another message.
    become_task(&office, &mut wire, "ci.lint.failed", payload, "echo ci.lint.failed nexus b").await;
    assert_eq!(tasks(&office).await.len(), 2);
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_template_misses_is_a_dead_letter() {
    let server = Server::start().await;
    let on = vec![on("ci.failed", "fix {{ data.repo }}")];
    let office = server.open(company([("qa", Department { on, ..department(1) })])).await;
    let mut wire = Wire::open(&server).await;
    become_task(&office, &mut wire, "ci.failed", r#"{"repo":"x"}"#, "fix x").await;
    for (payload, reason) in [(r#"{"rep":"x"}"#, "undefined"), ("{nope", "is not JSON"), ("", "undefined")] {
        wire.publish("ci.failed", &["Nats-Msg-Id: 2"], payload).await;
        let (subject, letter) = wire.dead_letter().await;
        assert!(subject.starts_with("nexus.dead.qa."), "{subject}");
        assert_eq!((letter.subject.as_str(), letter.payload.as_str()), ("ci.failed", payload));
        assert_eq!(letter.refusal.kind, RefusalKind::InvalidInput);
        assert!(letter.refusal.message.contains(reason), "{}", letter.refusal.message);
    }
    assert_eq!(tasks(&office).await.len(), 1);
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_is_changed_listens_elsewhere() {
    let server = Server::start().await;
    let with = |subject| company([("qa", Department { on: vec![on(subject, "echo {{ subject }}")], ..department(1) })]);
    let office = server.open(with("old")).await;
    let mut wire = Wire::open(&server).await;
    become_task(&office, &mut wire, "old", "", "echo old").await;
    office.runtime.reload(with("new"));
    become_task(&office, &mut wire, "new", "", "echo new").await;
    assert_eq!(tasks(&office).await.len(), 2);
    office.stop().await;
}
