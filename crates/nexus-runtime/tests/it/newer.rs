//! A ledger on which a newer nexus has written: nothing of that is misread, buried or lost, and whoever asks is told.

use std::time::Duration;

use jiff::Timestamp;
use nexus_bus::BusError;
use nexus_core::event::What;
use nexus_core::id::TaskId;
use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::view::Status;
use uuid::Uuid;

use crate::company::{company, department};
use crate::support::{Office, Server, eventually, within};
use crate::wire::Wire;

/// Without the audit, which needs to read all of the ledger.
async fn stop(office: Office) {
    office.runtime.stop(Duration::ZERO);
    within("the end", office.runtime.ended()).await.unwrap();
}

async fn refused(office: &Office, task: TaskId) -> Option<Refusal> {
    office.client.status(&task.to_string()).await.err().filter(|refusal| refusal.kind == RefusalKind::NewerVersion)
}

#[tokio::test(flavor = "multi_thread")]
async fn work_of_a_newer_nexus_waits_and_old_work_goes_on() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(1))])).await;
    let mut wire = Wire::open(&server).await;
    let newer = TaskId::from_uuid(Uuid::now_v7());
    let subject = format!("nexus.queue.qa.9.{newer}");
    wire.publish(&subject, &[], r#"{"v":99,"errand":{"words":"true"}}"#).await;
    let refusal = eventually("a refusal", async || refused(&office, newer).await).await;
    assert!(refusal.message.contains(&subject) && refusal.message.contains("upgrade nexus"), "{refusal}");
    assert!(refusal.message.contains("version 99"), "{refusal}");
    let all = office.client.list(&Default::default()).await.unwrap_err();
    assert_eq!((all.kind, &all.message), (RefusalKind::NewerVersion, &refusal.message));
    assert_eq!(office.client.rebuild().await.unwrap_err().kind, RefusalKind::NewerVersion);

    // Its worker had that in hand first.
    let old = office.submit("qa", "true").await;
    let is_done = async || {
        let last = office.bus.last_event(old).await.unwrap()?;
        matches!(last.event.what, What::Completed { .. }).then_some(())
    };
    eventually("the old work's end", is_done).await;
    // It is on the queue still, and no dead letter: the first of those is this one.
    assert!(matches!(office.bus.known(newer).await, Err(BusError::Newer { found: 99, .. })));
    let marker = Refusal::invalid("marker");
    office.bus.bury("qa", "marker", b"", marker, Timestamp::now()).await.unwrap();
    assert_eq!(wire.dead_letter().await.1.subject, "marker");
    stop(office).await;

    // A company that starts on it takes work too.
    let office = server.open(company([("qa", department(1))])).await;
    assert_eq!(office.client.list(&Default::default()).await.unwrap_err().kind, RefusalKind::NewerVersion);
    // What is asked of one task is answered from the ledger itself.
    assert_eq!(office.status(old).await.task.status, Status::Completed);
    let again = office.submit("qa", "true").await;
    eventually("its end", async || {
        let last = office.bus.last_event(again).await.unwrap()?;
        last.event.what.is_terminal().then_some(())
    })
    .await;
    stop(office).await;
}
