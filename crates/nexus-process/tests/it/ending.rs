//! Ending a tree: every process of the group goes, and it is said when they have gone.

use std::time::{Duration, Instant};

use nexus_core::attempt::{ExitStatus, Signal};
use nexus_process::Event;

use crate::support::{alive, line, read, run, said_and_left, sh, soon, spawn};

#[tokio::test]
async fn a_quick_end_waits_for_no_timer() {
    let begin = Instant::now();
    for _ in 0..40 {
        run(&sh("exec true")).await;
    }
    // The shortest timer that could be met is the drain time: with it this took 10 s.
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_signal_is_told_as_such() {
    let story = run(&sh("kill -TERM $$")).await;
    assert_eq!(story.status, Some(ExitStatus::Signal(15)));
}

#[tokio::test]
async fn an_interrupt_can_be_answered() {
    let (tree, mut events) = spawn(&sh("trap 'echo stopped; exit 7' INT; echo ready; while :; do sleep 0.05; done"));
    assert_eq!(line(&mut events).await, "ready");
    tree.signal(Signal::Interrupt);
    let story = read(&mut events).await;
    assert_eq!((story.stdout, story.status), (vec!["stopped".to_owned()], Some(ExitStatus::Code(7))));
}

#[tokio::test]
async fn who_ignores_the_others_is_killed() {
    let (tree, mut events) = spawn(&sh("trap '' INT TERM; echo ready; while :; do sleep 1; done"));
    assert_eq!(line(&mut events).await, "ready");
    tree.signal(Signal::Interrupt);
    tree.signal(Signal::Terminate);
    assert!(!alive(tree.pid()).is_empty());
    tree.signal(Signal::Kill);
    assert_eq!(read(&mut events).await.status, Some(ExitStatus::Signal(9)));
    assert_eq!(alive(tree.pid()), Vec::<String>::new());
}

#[tokio::test]
async fn the_tree_is_gone_only_when_its_last_process_is() {
    // The grandchild ignores TERM and closes its output, so that only the look at the group can find it.
    let script = "(trap '' TERM; exec sleep 60 >/dev/null 2>&1) & echo ready";
    let (tree, mut events) = spawn(&sh(script));
    said_and_left(&mut events, "ready").await;
    assert_eq!(alive(tree.pid()).len(), 1);
    assert!(!tree.gone().is_gone());
    let early = tokio::time::timeout(Duration::from_millis(300), events.next()).await;
    assert!(early.is_err(), "{early:?} while a process lives");

    tree.signal(Signal::Kill);
    assert_eq!(soon(events.next()).await, Some(Event::TreeGone));
    assert_eq!(alive(tree.pid()), Vec::<String>::new());
}

#[tokio::test]
async fn the_last_words_of_a_grandchild_are_heard() {
    let story = run(&sh("(sleep 0.2; echo late) & echo early")).await;
    assert_eq!(story.stdout, ["early", "late"]);
}

#[tokio::test]
async fn who_left_the_group_and_holds_the_pipe_does_not_hold_us() {
    let directory = tempfile::tempdir().unwrap();
    let mut command =
        sh("setsid sh -c 'echo $$ > pid; exec sleep 30' & while [ ! -s pid ]; do sleep 0.01; done; printf end");
    command.cwd = directory.path().to_owned();
    let begin = Instant::now();
    let story = run(&command).await;
    assert_eq!(story.stdout, ["end"]);
    assert!(begin.elapsed() < Duration::from_secs(10), "waited for a process that is not of the group");
    let escaped = std::fs::read_to_string(directory.path().join("pid")).unwrap();
    run(&sh(&format!("kill -9 {}", escaped.trim()))).await;
}

#[tokio::test]
async fn a_zombie_that_nobody_reaps_does_not_count() {
    // The child leaves a zombie of its own in the group, and then leaves the group itself.
    let script = "
import os, time
if os.fork() == 0:
    dead = os.fork()
    if dead == 0:
        os._exit(0)
    os.waitid(os.P_PID, dead, os.WEXITED | os.WNOWAIT)
    os.setsid()
    print(os.getpid(), flush=True)
    null = os.open('/dev/null', os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    time.sleep(60)
";
    let mut command = sh("");
    command.program = "python3".into();
    command.args = vec!["-c".into(), script.into()];
    let story = run(&command).await;
    run(&sh(&format!("kill -9 {}", story.stdout[0]))).await;
}
