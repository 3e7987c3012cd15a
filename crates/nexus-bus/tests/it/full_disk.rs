//! A disk that gets full: a typed refusal within seconds, nothing acknowledged is lost, and it goes on by itself.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nexus_bus::{Bus, BusError, Submitted};
use nexus_core::id::TaskId;
use nexus_core::log::{ChunkLine, Stream};
use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::task::QueueEntry;

use crate::small_disk::{fill, with};
use crate::support::{Server, entry, eventually, qa, within};

async fn server_on(disk: &Path) -> Server {
    Server::start_in(tempfile::tempdir_in(disk).unwrap()).await
}

/// The program's use of the two.
fn wire(server: &Server, bus: &Bus) {
    let (mut store, bus) = (server.broker.store(), bus.clone());
    tokio::spawn(async move {
        loop {
            let now = store.borrow_and_update().clone();
            bus.set_trouble((!now.is_well()).then(|| now.to_string()));
            if store.changed().await.is_err() {
                return;
            }
        }
    });
}

fn big() -> QueueEntry {
    let mut entry = entry(5);
    entry.task.description = "x".repeat(16 * 1024);
    entry
}

/// Submits until it is refused; returns what was acknowledged, and the refusal.
async fn until_refused(bus: &Bus) -> (Vec<TaskId>, BusError) {
    let mut taken = Vec::new();
    loop {
        let entry = big();
        let asked = Instant::now();
        match within("an answer", bus.submit(&entry)).await {
            Ok(Submitted::New(_)) => taken.push(entry.task.id),
            Ok(known) => panic!("{known:?}"),
            Err(error) => {
                assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
                return (taken, error);
            }
        }
    }
}

async fn all_there(bus: &Bus, tasks: &[TaskId]) {
    for task in tasks {
        assert!(bus.known(*task).await.unwrap().is_some(), "{task} was acknowledged, and is lost");
    }
}

fn assert_full(error: BusError, place: &Path) {
    let refusal = Refusal::from(error);
    assert_eq!(refusal.kind, RefusalKind::StorageFull, "{refusal}");
    assert!(refusal.message.contains(place.to_str().unwrap()), "{refusal}");
}

#[test]
fn submissions_are_refused_until_there_is_room() {
    with("full_disk::submissions_are_refused_until_there_is_room", 32, async |disk| {
        let server = server_on(&disk).await;
        let bus = server.bus().await;
        wire(&server, &bus);
        let filler = fill(&disk, 8 << 20);
        let (mut taken, refused) = until_refused(&bus).await;
        assert_full(refused, &disk);
        std::fs::remove_file(filler).unwrap();
        let more = eventually("room", async || {
            let entry = big();
            bus.submit(&entry).await.ok().map(|_| entry.task.id)
        });
        taken.push(more.await);
        all_there(&bus, &taken).await;
    });
}

#[test]
fn a_disk_filled_by_others_to_the_last_byte() {
    with("full_disk::a_disk_filled_by_others_to_the_last_byte", 32, async |disk| {
        let server = server_on(&disk).await;
        // Not told by who watches the disk, as with somebody else's NATS: found out by asking.
        let bus = server.bus().await;
        let first = entry(5);
        bus.submit(&first).await.unwrap();
        let mut log = bus.log_writer(&qa(), first.task.id, 1, Some(0)).await.unwrap();
        let pid = server.broker.pid().unwrap();
        let filler = fill(&disk, 0);
        let (mut taken, refused) = until_refused(&bus).await;
        assert_eq!(Refusal::from(refused).kind, RefusalKind::StorageFull);
        taken.push(first.task.id);
        let line = |text: &str| vec![ChunkLine { stream: Stream::Stdout, text: text.repeat(1000) }];
        log.write(line("a"), Timestamp::now()).await;
        log.write(line("b"), Timestamp::now()).await;
        std::fs::remove_file(filler).unwrap();
        within("the log to be stored", log.finish()).await;
        let more = eventually("room", async || {
            let entry = big();
            bus.submit(&entry).await.ok().map(|_| entry.task.id)
        });
        taken.push(more.await);
        all_there(&bus, &taken).await;
        // It was started again, which was no failure of its own.
        assert_ne!(server.broker.pid(), Some(pid));
        let stored = bus.log_writer(&qa(), first.task.id, 2, None).await.unwrap();
        assert_eq!((log.lines(), stored.lines()), (2, 2));
    });
}
