//! The output of a tree arrives whole, in order, and no faster than it is read.

use bytes::Bytes;
use nexus_core::attempt::ExitStatus;
use nexus_process::{Event, OutputPolicy, Stdin, Tree};

use crate::support::{alive, line, read, run, sh, soon, spawn, until};

#[tokio::test]
async fn both_streams_arrive_in_their_order() {
    let story = run(&sh("for i in 1 2 3; do echo out $i; echo err $i >&2; done; printf last; exit 3")).await;
    assert_eq!(story.stdout, ["out 1", "out 2", "out 3", "last"]);
    assert_eq!(story.stderr, ["err 1", "err 2", "err 3"]);
    assert_eq!(story.status, Some(ExitStatus::Code(3)));
    assert_eq!(story.bytes, 3 * 6 * 2 + 4);
}

#[tokio::test]
async fn a_line_is_handed_on_while_the_tree_runs() {
    let (tree, mut events) = spawn(&sh("echo ready; sleep 60"));
    assert_eq!(line(&mut events).await, "ready");
    assert!(!tree.gone().is_gone());
}

#[tokio::test]
async fn any_bytes_are_welcome() {
    let (_tree, mut events) = spawn(&sh(r"printf '\377\376x\000y\r\n\r\nz\r\n'"));
    let mut lines = Vec::new();
    while let Some(event) = soon(events.next()).await {
        if let Event::Output { lines: more, .. } = event {
            lines.extend(more.into_iter().map(|line| line.bytes));
        }
    }
    assert_eq!(lines, [&b"\xff\xfex\0y"[..], b"", b"z"]);
}

#[tokio::test]
async fn a_long_line_comes_in_pieces() {
    let command = sh("head -c 100000 /dev/zero | tr '\\0' x; echo; echo end");
    let (_tree, mut events) = Tree::spawn(&command, &OutputPolicy { max_line: 30_000, redact: None }).unwrap();
    let mut lines = Vec::new();
    while let Some(event) = soon(events.next()).await {
        if let Event::Output { lines: more, .. } = event {
            lines.extend(more.into_iter().map(|line| (line.bytes.len(), line.cut)));
        }
    }
    assert_eq!(lines, [(30_000, true), (30_000, true), (30_000, true), (10_000, false), (3, false)]);
}

#[tokio::test]
async fn many_lines_all_arrive() {
    let story = run(&sh("seq 1 300000")).await;
    assert_eq!(story.stdout.len(), 300_000);
    assert!(story.stdout.iter().zip(1..).all(|(line, n): (_, u32)| *line == n.to_string()));
}

#[tokio::test]
async fn standard_input_is_given_and_ended() {
    let text: String = (0..50_000).map(|n| format!("line {n}\n")).collect();
    let story = run(&sh("cat").stdin(Stdin::Bytes(Bytes::from(text.clone())))).await;
    assert_eq!(story.stdout.join("\n") + "\n", text);
}

#[tokio::test]
async fn standard_input_is_closed_unless_given() {
    assert_eq!(run(&sh("cat; echo end")).await.stdout, ["end"]);
}

#[tokio::test]
async fn input_that_nobody_reads_is_no_error() {
    let story = run(&sh("exec true").stdin(Stdin::Bytes(Bytes::from(vec![b'x'; 1 << 20])))).await;
    assert_eq!(story.status, Some(ExitStatus::Code(0)));
}

#[tokio::test]
async fn only_the_given_environment_is_seen() {
    let mut command = sh("/usr/bin/env");
    command.env = vec![("ONE".into(), "1".into()), ("PATH".into(), "/usr/bin:/bin".into())];
    let story = run(&command).await;
    let mut names: Vec<_> = story.stdout.iter().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    // The shell itself adds the last three.
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    assert_eq!(names, ["ONE", "PATH"]);
}

#[tokio::test]
async fn a_slow_reader_stops_the_writer() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = sh("i=0; while :; do printf '%8191s\\n' x; i=$((i+1)); echo $i > count; done");
    command.cwd = directory.path().to_owned();
    let (tree, mut events) = spawn(&command);
    let count = || std::fs::read_to_string(directory.path().join("count")).ok().and_then(|n| n.trim().parse().ok());
    line(&mut events).await;
    // Only a full pipe makes this shell sleep: it runs no other program, and waits for nothing.
    until(|| alive(tree.pid()).iter().any(|stat| stat.contains(") S "))).await;
    let written: u64 = count().unwrap_or(0);
    assert!(written * 8192 <= 256 * 1024, "{written} lines were written and nobody read them");
    drop(tree);
    read(&mut events).await;
}
