//! A tree that nobody holds any more is killed, and its end is still told.

use std::time::Duration;

use nexus_core::attempt::ExitStatus;

use crate::support::{alive, line, read, sh, soon, spawn};

#[tokio::test]
async fn dropping_the_tree_kills_it() {
    let (tree, mut events) = spawn(&sh("trap '' INT TERM; sleep 60 & sleep 60 & echo ready; wait"));
    assert_eq!(line(&mut events).await, "ready");
    let (pid, gone) = (tree.pid(), tree.gone());
    assert_eq!(alive(pid).len(), 3);
    drop(tree);
    soon(gone.clone().wait()).await;
    assert!(gone.is_gone());
    assert_eq!(alive(pid), Vec::<String>::new());
    assert_eq!(read(&mut events).await.status, Some(ExitStatus::Signal(9)));
}

#[tokio::test]
async fn gone_is_told_when_events_and_tree_are_dropped() {
    let (tree, events) = spawn(&sh("(trap '' TERM; sleep 60) & echo; exec sleep 60"));
    let (pid, gone) = (tree.pid(), tree.gone());
    drop(events);
    drop(tree);
    soon(gone.wait()).await;
    assert_eq!(alive(pid), Vec::<String>::new());
}

#[test]
fn a_runtime_that_shuts_down_leaves_nothing_behind() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (tree, pid) = runtime.block_on(async {
        let (tree, mut events) = spawn(&sh("trap '' INT TERM; sleep 60 & echo ready; wait"));
        assert_eq!(line(&mut events).await, "ready");
        let pid = tree.pid();
        (tree, pid)
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    let begin = std::time::Instant::now();
    while !alive(pid).is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(10));
        std::thread::yield_now();
    }
    drop(tree);
}
