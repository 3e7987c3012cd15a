//! Work is submitted once and for ever, and events follow one another by compare-and-set.

use nexus_bus::{BusError, Submitted};
use nexus_core::event::What;

use crate::support::{LEASE, Server, cancelled, completed, entry, event, queues, take};

#[tokio::test]
async fn the_same_id_is_one_task_for_ever() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let first = entry(5);
    let Ok(Submitted::New(seq)) = bus.submit(&first).await else { panic!("it is new") };
    assert_eq!(seq, 1);
    // Asked for elsewhere the second time: the first submission holds.
    let mut again = first.clone();
    again.task.priority = crate::support::priority(9);
    again.task.description = "something else".into();
    assert_eq!(bus.submit(&again).await, Ok(Submitted::Known(Box::new(first.task.clone()))));
    bus.append(&event(&first, completed(0)), 0, None).await.unwrap();
    assert_eq!(bus.submit(&again).await, Ok(Submitted::Known(Box::new(first.task.clone()))));
    let mut queues = queues(&bus, LEASE).await;
    take(&mut queues, 5).await;
    assert_eq!(queues.pull(crate::support::priority(9), 1).await.unwrap().len(), 0);
}

#[tokio::test]
async fn of_two_submissions_at_once_one_is_new() {
    let server = Server::start().await;
    let (one, two) = (server.bus().await, server.bus().await);
    for _ in 0..50 {
        let entry = entry(5);
        let (a, b) = tokio::join!(one.submit(&entry), two.submit(&entry));
        let (a, b) = (a.unwrap(), b.unwrap());
        let new = [&a, &b].iter().filter(|s| matches!(s, Submitted::New(_))).count();
        assert_eq!(new, 1, "{a:?} {b:?}");
    }
    let (waiting, _) = {
        queues(&one, LEASE).await;
        server.consumer(5).await
    };
    assert_eq!(waiting, 50);
}

#[tokio::test]
async fn an_event_that_expects_something_older_is_refused() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let entry = entry(5);
    bus.submit(&entry).await.unwrap();
    assert_eq!(bus.last_event(entry.task.id).await, Ok(None));
    assert_eq!(bus.last_entry(entry.task.id).await, Ok(Some(entry.clone())));
    let asked = event(&entry, What::CancelRequested { reason: "a".into(), of: None });
    let seq = bus.append(&asked, 0, None).await.unwrap();
    let last = bus.last_event(entry.task.id).await.unwrap().unwrap();
    assert_eq!((last.seq, last.event), (seq, asked));
    for stale in [0, seq - 1, seq + 1] {
        assert_eq!(bus.append(&event(&entry, cancelled()), stale, None).await, Err(BusError::Conflict), "{stale}");
    }
    let again =
        bus.append_and_queue(&event(&entry, What::Interrupted { reason: "a".into(), run: None }), 0, &entry).await;
    assert_eq!(again, Err(BusError::Conflict));
    assert_eq!(bus.last_event(entry.task.id).await.unwrap().unwrap().seq, seq);
    bus.append(&event(&entry, cancelled()), seq, None).await.unwrap();
}

#[tokio::test]
async fn of_two_events_at_once_one_is_written() {
    let server = Server::start().await;
    let (one, two) = (server.bus().await, server.bus().await);
    for _ in 0..50 {
        let entry = entry(5);
        let (mine, yours) = (event(&entry, cancelled()), event(&entry, completed(0)));
        let (a, b) = tokio::join!(one.append(&mine, 0, None), two.append(&yours, 0, None));
        let written = if a.is_ok() { &mine } else { &yours };
        assert!(matches!((&a, &b), (Ok(_), Err(BusError::Conflict)) | (Err(BusError::Conflict), Ok(_))), "{a:?} {b:?}");
        assert_eq!(one.last_event(entry.task.id).await.unwrap().unwrap().event, *written);
    }
}
