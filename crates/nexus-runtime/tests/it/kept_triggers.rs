//! A message that a trigger is for, and whose department has no room: it waits.

use nexus_core::api::ListRequest;
use nexus_core::department::{Department, QueuePolicy, Trigger};
use nexus_core::id::Priority;
use nexus_core::refusal::RefusalKind;
use nexus_core::view::TaskView;

use crate::company::{company, department};
use crate::support::{Gate, Office, Server, eventually};
use crate::wire::Wire;

async fn described(office: &Office, description: &str) -> Vec<TaskView> {
    let tasks = office.client.list(&ListRequest::default()).await.unwrap().tasks;
    tasks.into_iter().filter(|task| task.description == description).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_becomes_a_task_when_there_is_room() {
    let server = Server::start().await;
    let on = vec![Trigger {
        subject: "ci.*".into(),
        description: "echo {{ data.n }}".into(),
        task_type: "bug_fix".into(),
        project_path: env!("CARGO_MANIFEST_DIR").into(),
        agent: None,
        priority: Priority::new(7).unwrap(),
    }];
    let queue = QueuePolicy { max_waiting: 1 };
    let office = server.open(company([("qa", Department { on, queue, ..department(1) })])).await;
    let mut wire = Wire::open(&server).await;
    // It listens: nothing would keep what came before.
    eventually("a task", async || {
        wire.publish("ci.first", &["Nats-Msg-Id: 0"], r#"{"n":0}"#).await;
        described(&office, "echo 0").await.pop()
    })
    .await;
    office.completed(described(&office, "echo 0").await[0].task_id, (1, 0)).await;
    let gate = Gate::new(server.dir.path());
    let held = office.submit("qa", &gate.command()).await;
    office.pid(held).await;
    let waiting = office.submit("qa", "true").await;
    let refusal = office.client.submit(&office.work("qa", "true")).await.unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Busy);
    // With an id and without, each once.
    wire.publish("ci.lint", &["Nats-Msg-Id: 1"], r#"{"n":1}"#).await;
    wire.publish("ci.lint", &["Other: 1"], r#"{"n":2}"#).await;
    eventually("both in the inbox", async || {
        let inbox = wire.request("$JS.API.STREAM.INFO.NEXUS_INBOX").await;
        (inbox["state"]["messages"] == 2).then_some(())
    })
    .await;
    assert_eq!(described(&office, "echo 1").await.len() + described(&office, "echo 2").await.len(), 0);
    gate.open().await;
    office.completed(held, (1, 0)).await;
    office.completed(waiting, (1, 0)).await;
    for (description, output) in [("echo 1", "1\n"), ("echo 2", "2\n")] {
        let task = eventually("its task", async || described(&office, description).await.pop()).await;
        assert_eq!((task.task_type.as_str(), task.priority.get()), ("bug_fix", 7));
        assert_eq!(office.completed(task.task_id, (1, 0)).await.result.unwrap().output, output);
        assert_eq!(described(&office, description).await.len(), 1);
    }
    office.stop().await;
}
