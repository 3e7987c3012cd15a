//! Standard input that is written while the tree runs: by a plain group, by a warden, and by one that confines.

use std::time::Duration;

use nexus_core::attempt::{ExitStatus, Signal};
use nexus_process::{Event, Events, OutputPolicy, Stdin, StdinWriter, Tree};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::confined::{Scene, tiers};
use crate::support::{launch, line, read, sh, soon};

fn piped(script: &str) -> nexus_process::Command {
    sh(script).stdin(Stdin::Piped)
}

fn plain(script: &str) -> (Tree, Events, Option<StdinWriter>) {
    Tree::spawn_piped(&piped(script), &OutputPolicy::default()).unwrap()
}

async fn kept(script: &str) -> (Tree, Events, Option<StdinWriter>) {
    let wardens = nexus_process::Wardens::new(nexus_process::Groups::default());
    let started = soon(wardens.start(&launch(piped(script)))).await.unwrap();
    (started.tree, started.events, started.stdin)
}

/// Input that is written later is read, and the end of file comes when the writer is dropped.
async fn echoes((tree, mut events, stdin): (Tree, Events, Option<StdinWriter>)) {
    let mut stdin = stdin.unwrap();
    for word in ["one", "two"] {
        soon(stdin.write_all(format!("{word}\n").as_bytes())).await.unwrap();
        assert_eq!(line(&mut events).await, word);
    }
    drop(stdin);
    let story = read(&mut events).await;
    assert_eq!((story.stdout, story.status), (vec!["end".to_owned()], Some(ExitStatus::Code(0))));
    assert!(tree.gone().is_gone());
}

const ECHO: &str = "cat; echo end";

/// A tree ends whoever holds the writer, which is told so.
async fn ends_before_its_writer((tree, mut events, stdin): (Tree, Events, Option<StdinWriter>)) {
    let mut stdin = stdin.unwrap();
    assert_eq!(line(&mut events).await, "ready");
    // Again and again: a process that is forked at that moment escapes it once.
    let killed = async {
        loop {
            tree.signal(Signal::Kill);
            if timeout(Duration::from_millis(100), events.next()).await == Ok(Some(Event::TreeGone)) {
                return;
            }
        }
    };
    soon(killed).await;
    let error = soon(stdin.write_all(&[b'x'; 1 << 20])).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn a_group_reads_what_is_written_later() {
    echoes(plain(ECHO)).await;
    ends_before_its_writer(plain("echo ready; sleep 60")).await;
}

#[tokio::test]
async fn a_wardens_tree_reads_what_is_written_later() {
    echoes(kept(ECHO).await).await;
    ends_before_its_writer(kept("echo ready; sleep 60").await).await;
}

#[tokio::test]
async fn a_confined_tree_reads_what_is_written_later() {
    for tier in tiers() {
        let scene = Scene::new(tier);
        let mut launch = scene.launch("sh", &["-c", ECHO]);
        launch.command.stdin = Stdin::Piped;
        let wardens = nexus_process::Wardens::new(nexus_process::Groups::default());
        let started = soon(wardens.start(&launch)).await.unwrap();
        echoes((started.tree, started.events, started.stdin)).await;
    }
}

/// More than a pipe holds waits until it is read; none of it is lost.
#[tokio::test]
async fn a_writer_waits_for_its_reader() {
    let (_tree, mut events, stdin) = plain("read go; wc -c");
    let mut stdin = stdin.unwrap();
    let writing = tokio::spawn(async move {
        stdin.write_all(b"go\n").await.unwrap();
        stdin.write_all(&vec![b'x'; 1 << 20]).await.unwrap();
    });
    assert_eq!(line(&mut events).await.trim(), (1 << 20).to_string());
    soon(writing).await.unwrap();
}

#[tokio::test]
async fn without_a_writer_it_is_closed() {
    let (_tree, mut events, stdin) = Tree::spawn_piped(&sh("cat; echo end"), &OutputPolicy::default()).unwrap();
    assert!(stdin.is_none());
    assert_eq!(read(&mut events).await.stdout, ["end"]);
}
