//! The inbox: work asked for by publishing, in any form that is allowed, and dead letters for the rest.

use nexus_core::api::ListRequest;
use nexus_core::department::{Department, QueuePolicy};
use nexus_core::refusal::RefusalKind;
use nexus_core::view::{Status, TaskView};
use serde_json::json;

use crate::company::{company, department};
use crate::support::{Gate, LIMIT, Office, Server, eventually};
use crate::wire::Wire;

/// The one task with this description, when it has ended.
async fn ended(office: &Office, description: &str) -> TaskView {
    let find = async || {
        let page = office.client.list(&ListRequest::default()).await.unwrap();
        let mut fit: Vec<_> = page.tasks.into_iter().filter(|task| task.description == description).collect();
        assert!(fit.len() <= 1, "{fit:?}");
        fit.pop().filter(|task| task.status.is_terminal())
    };
    eventually(description, find).await
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_become_tasks_in_each_of_their_forms() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(1)), ("product", department(1))])).await;
    let mut wire = Wire::open(&server).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    wire.publish("nexus.inbox.qa", &[&format!("traceparent: {trace}")], r#"{"description":"echo plain"}"#).await;
    let event = json!({
        "specversion": "1.0", "id": "42", "source": "/ci", "type": "work",
        "data": { "task_description": "echo structured", "priority": 9 },
    });
    for _ in 0..3 {
        wire.publish("nexus.inbox.qa", &[], &event.to_string()).await;
        wire.publish("nexus.inbox.qa", &["ce-id: 7"], r#"{"description":"echo binary","department":"product"}"#).await;
    }
    let plain = ended(&office, "echo plain").await;
    assert_eq!((plain.status, plain.department.as_str()), (Status::Completed, "qa"));
    let entry = office.bus.last_entry(plain.task_id).await.unwrap().unwrap();
    assert_eq!(entry.task.traceparent.as_deref(), Some(trace));
    assert_eq!(ended(&office, "echo structured").await.priority.get(), 9);
    // The subject says where it belongs, whatever the payload says.
    assert_eq!(ended(&office, "echo binary").await.department.as_str(), "qa");
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_work_goes_to_the_dead_letters_with_the_reason() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(1))])).await;
    let mut wire = Wire::open(&server).await;
    for (department, payload, kind, reason) in [
        ("qa", "{nope", RefusalKind::InvalidInput, "is not a submission: key must be a string"),
        ("qa", r#"{"description":" "}"#, RefusalKind::InvalidInput, "is empty"),
        ("qa", r#"{"description":"x","prio":1}"#, RefusalKind::InvalidInput, "unknown field `prio`"),
        ("qa", r#"{"description":"x","preferred_agent":"gpt"}"#, RefusalKind::UnknownAgent, "Invalid agent type: gpt"),
        ("nope", r#"{"description":"x"}"#, RefusalKind::UnknownDepartment, "there is no department \"nope\""),
    ] {
        let from = format!("nexus.inbox.{department}");
        wire.publish(&from, &[], payload).await;
        let (subject, letter) = wire.dead_letter().await;
        assert!(subject.starts_with(&format!("nexus.dead.{department}.")), "{subject}");
        assert_eq!((letter.subject, letter.payload.as_str(), letter.refusal.kind), (from, payload, kind));
        assert!(letter.refusal.message.contains(reason), "{}", letter.refusal.message);
    }
    assert_eq!(office.client.list(&ListRequest::default()).await.unwrap().total, 0);
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_to_a_busy_department_waits_until_there_is_room() {
    let server = Server::start().await;
    let queue = QueuePolicy { max_waiting: 1 };
    let office = server.open(company([("qa", Department { queue, ..department(1) })])).await;
    let gate = Gate::new(server.dir.path());
    let running = office.submit("qa", &gate.command()).await;
    office.pid(running).await;
    office.submit("qa", "true").await;
    let refusal = office.client.submit(&office.work("qa", "true")).await.unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Busy, "{refusal}");
    let mut wire = Wire::open(&server).await;
    wire.publish("nexus.inbox.qa", &[], r#"{"description":"echo late"}"#).await;
    // The next letter is dealt with, so the first has been looked at: it is neither work nor dead.
    wire.publish("nexus.inbox.qa", &[], "{nope").await;
    let (_, letter) = wire.dead_letter().await;
    assert_eq!(letter.payload, "{nope");
    assert_eq!(office.client.list(&ListRequest::default()).await.unwrap().total, 2);
    gate.open().await;
    assert_eq!(ended(&office, "echo late").await.status, Status::Completed);
    office.client.wait(&running.to_string(), Some(LIMIT)).await.unwrap();
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_comes_while_no_company_runs_is_taken_by_the_next() {
    let server = Server::start().await;
    server.open(company([("qa", department(1))])).await.stop().await;
    Wire::open(&server).await.publish("nexus.inbox.qa", &[], r#"{"description":"echo kept"}"#).await;
    let office = server.open(company([("qa", department(1))])).await;
    assert_eq!(ended(&office, "echo kept").await.status, Status::Completed);
    office.stop().await;
}
