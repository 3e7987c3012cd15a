//! Copies of streams: of one moment, and streams made from them, in which all that comes next finds what it expects.

use nexus_bus::{CopyError, CopyStep, Submitted};
use nexus_core::event::What;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::support::{LEASE, Server, completed, entry, event, priority, queues};

const LEDGER: &str = "NEXUS_TASKS";

/// Collects a copy, and does something each time that one begins or goes on.
fn collect<'a>(
    bytes: &'a mut Vec<u8>,
    begun: &'a mut usize,
    mut at_bytes: impl FnMut(usize) + 'a,
) -> impl FnMut(CopyStep<'_>) -> std::io::Result<()> + 'a {
    move |step| {
        match step {
            CopyStep::Begin => {
                bytes.clear();
                *begun += 1;
            }
            CopyStep::Bytes(piece) => {
                bytes.extend(piece);
                at_bytes(*begun);
            }
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_is_made_again_from_its_copy() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let new = bus.copy_stream(LEDGER, |_| Ok(())).await.unwrap().unwrap();
    assert_eq!(new.state["messages"].as_u64(), Some(0));
    let (ended, waits) = (entry(5), entry(5));
    bus.submit(&ended).await.unwrap();
    bus.submit(&waits).await.unwrap();
    let end = bus.append(&event(&ended, completed(0)), 0, None).await.unwrap();
    let mut queues = queues(&bus, LEASE).await;
    assert_eq!(queues.pull(priority(5), 9).await.unwrap().len(), 2);
    let (mut bytes, mut begun) = (Vec::new(), 0);
    let copy = bus.copy_stream(LEDGER, collect(&mut bytes, &mut begun, |_| {})).await.unwrap().unwrap();
    assert_eq!(begun, 1);
    assert_eq!(bus.copy_stream("NEXUS_NONE", |_| Ok(())).await.unwrap(), None);

    let other = Server::start().await;
    let raw = async_nats::jetstream::new(other.raw().await);
    let bus = other.bus().await;
    assert!(
        matches!(bus.stream_from_copy(LEDGER, &copy, &mut bytes.as_slice()).await, Err(CopyError::Bus(_))),
        "there is one"
    );
    raw.delete_stream(LEDGER).await.unwrap();
    bus.stream_from_copy(LEDGER, &copy, &mut bytes.as_slice()).await.unwrap();
    assert_eq!(bus.last_event(ended.task.id).await.unwrap().unwrap().seq, end);
    assert!(matches!(bus.submit(&ended).await, Ok(Submitted::Known(_))));
    bus.append(&event(&waits, What::CancelRequested { reason: "a".into(), of: None }), 0, None).await.unwrap();
    // Everything is delivered once more: no consumer claims to know better.
    let mut queues = crate::support::queues(&bus, LEASE).await;
    assert_eq!(queues.pull(priority(5), 9).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_from_which_something_was_deleted_meanwhile_is_copied_anew() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let tasks: Vec<_> = (0..30).map(|_| entry(5)).collect();
    for task in &tasks {
        bus.submit(task).await.unwrap();
    }
    let forget =
        |number: usize| block_in_place(|| Handle::current().block_on(bus.purge(tasks[number].task.id))).unwrap();
    let (mut bytes, mut begun) = (Vec::new(), 0);
    let once = |begun: usize| {
        if begun == 1 {
            forget(29);
        }
    };
    let copy = bus.copy_stream(LEDGER, collect(&mut bytes, &mut begun, once)).await.unwrap().unwrap();
    assert_eq!((begun, copy.state["messages"].as_u64()), (2, Some(29)));
    let always = |begun: usize| forget(begun);
    let restless = bus.copy_stream(LEDGER, collect(&mut bytes, &mut begun, always)).await;
    assert!(matches!(restless, Err(CopyError::Restless)), "{restless:?}");
}
