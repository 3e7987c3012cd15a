//! Real containers of a real engine: `tests/containers` runs these, where there is one.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on says so by failing")]

use std::time::Duration;

use nexus_container::{ContainerError, ContainerSpec, Engine, Labels, Mount, Network, Started};
use nexus_core::attempt::{ExitStatus, Signal};
use nexus_core::log::Stream;
use nexus_process::{Event, Limit, OutputPolicy, Report, Stdin};
use tokio::io::AsyncWriteExt;

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), future).await.expect("it takes too long")
}

fn image() -> String {
    std::env::var("NEXUS_TEST_IMAGE").unwrap_or_else(|_| "debian:bookworm-slim".to_owned())
}

fn spec(script: &str) -> ContainerSpec {
    let node = uuid::Uuid::now_v7().simple().to_string();
    let labels =
        Labels { company: "test".to_owned(), node, run: "run".to_owned(), task: "task".to_owned(), attempt: 1 };
    ContainerSpec {
        image: image(),
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        env: vec![("GREETING".to_owned(), "hello".to_owned())],
        workdir: "/".to_owned(),
        mounts: Vec::new(),
        user: None,
        memory: None,
        processes: None,
        cpu_milli: None,
        open_files: None,
        file_size: None,
        network: Network::None,
        labels,
        stdin: Stdin::Closed,
    }
}

#[derive(Debug, Default)]
struct Story {
    stdout: String,
    stderr: String,
    bytes: u64,
    exit: Option<ExitStatus>,
    limit: Option<Limit>,
    report: Option<Report>,
}

async fn read(started: &mut Started) -> Story {
    let mut story = Story::default();
    while let Some(event) = soon(started.events.next()).await {
        match event {
            Event::Output { stream, lines, bytes } => {
                story.bytes += bytes;
                let text = if stream == Stream::Stdout { &mut story.stdout } else { &mut story.stderr };
                if text.len() < 100_000 {
                    lines.iter().for_each(|line| *text += &(String::from_utf8_lossy(&line.bytes).into_owned() + "\n"));
                }
            }
            Event::LimitHit(limit) => {
                story.limit = Some(limit);
                started.tree.signal(Signal::Kill);
            }
            Event::LeaderExited(exit) => story.exit = Some(exit),
            Event::TreeGone => {}
        }
    }
    story.report = started.tree.gone().report();
    story
}

async fn start(spec: &ContainerSpec) -> Started {
    let engine = Engine::connect().await.unwrap();
    soon(engine.start(spec, &OutputPolicy::default())).await.unwrap()
}

async fn run(spec: &ContainerSpec) -> Story {
    read(&mut start(spec).await).await
}

/// The number of those left that carry its label, which ends them.
async fn left(spec: &ContainerSpec) -> usize {
    Engine::connect().await.unwrap().reconcile(&spec.labels.node).await.unwrap()
}

#[tokio::test]
#[ignore = "needs a container engine: tests/containers"]
async fn it_prints_and_ends_and_nothing_is_left() {
    let spec = spec("echo $GREETING; echo trouble >&2; exit 3");
    let story = run(&spec).await;
    assert_eq!((story.stdout.as_str(), story.stderr.as_str()), ("hello\n", "trouble\n"));
    assert_eq!(story.exit, Some(ExitStatus::Code(3)));
    assert_eq!(left(&spec).await, 0);
}

#[tokio::test]
#[ignore = "needs a container engine: tests/containers"]
async fn its_input_has_an_end() {
    let spec = ContainerSpec { stdin: Stdin::Bytes("one\ntwo\n".into()), ..spec("cat; echo end") };
    assert_eq!(run(&spec).await.stdout, "one\ntwo\nend\n");
}

#[tokio::test]
#[ignore = "needs a container engine: tests/containers"]
async fn its_input_can_be_written_while_it_runs() {
    let mut started = start(&ContainerSpec { stdin: Stdin::Piped, ..spec("cat; echo end") }).await;
    let mut stdin = started.stdin.take().unwrap();
    for word in ["one", "two"] {
        stdin.write_all(format!("{word}\n").as_bytes()).await.unwrap();
        stdin.flush().await.unwrap();
        let Some(Event::Output { lines, .. }) = soon(started.events.next()).await else { panic!("no output") };
        assert_eq!(lines[0].bytes, word.as_bytes());
    }
    drop(stdin);
    assert_eq!(read(&mut started).await.stdout, "end\n");
}

#[tokio::test]
#[ignore = "needs a container engine: tests/containers"]
async fn nothing_of_much_output_is_lost() {
    let story = run(&spec("head -c 50000000 /dev/zero | tr '\\0' '\\n'; echo last >&2")).await;
    assert_eq!(story.bytes, 50_000_005);
    assert_eq!(story.stderr, "last\n");
}

#[tokio::test]
#[ignore = "needs a container engine: tests/containers"]
async fn signals_reach_it() {
    let polite = spec("trap 'echo stopped; exit 7' INT; echo ready; while :; do sleep 0.1; done");
    let mut started = start(&polite).await;
    let Some(Event::Output { .. }) = soon(started.events.next()).await else {
        panic!("it did not say that it is ready")
    };
    started.tree.signal(Signal::Interrupt);
    let story = read(&mut started).await;
    assert_eq!((story.stdout.as_str(), story.exit), ("stopped\n", Some(ExitStatus::Code(7))));

    let deaf = spec("trap '' INT TERM; (trap '' INT TERM; setsid sleep 1000) & echo ready; while :; do sleep 1; done");
    let mut started = start(&deaf).await;
    let Some(Event::Output { .. }) = soon(started.events.next()).await else {
        panic!("it did not say that it is ready")
    };
    for signal in [Signal::Interrupt, Signal::Terminate, Signal::Kill] {
        started.tree.signal(signal);
    }
    assert_eq!(read(&mut started).await.exit, Some(ExitStatus::Signal(9)));
    assert_eq!(left(&deaf).await, 0);
}

#[tokio::test]
#[ignore = "needs a container engine: tests/containers"]
async fn nobodys_tree_is_ended() {
    let spec = spec("trap '' TERM; echo ready; while :; do sleep 1; done");
    let mut started = start(&spec).await;
    let Some(Event::Output { .. }) = soon(started.events.next()).await else {
        panic!("it did not say that it is ready")
    };
    let gone = started.tree.gone();
    drop(started);
    soon(gone.wait()).await;
    assert_eq!(left(&spec).await, 0);
}

#[tokio::test]
#[ignore = "needs a container engine: tests/containers"]
async fn its_walls_hold() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "mine\n").unwrap();
    let at = dir.path().to_str().unwrap().to_owned();
    let mount = |target: &str, read_only| Mount { source: at.clone(), target: target.to_owned(), read_only };
    let spec = ContainerSpec {
        mounts: vec![mount("/work", false), mount("/read", true)],
        workdir: "/work".to_owned(),
        user: Some((rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw())),
        ..spec(
            "try() { \"$@\" 2>/dev/null && echo \"did $*\"; }
             cat file; echo written > out; echo temporary > /tmp/x
             try touch /read/x; try touch /evil; try touch /usr/evil; try mount -t tmpfs none /mnt; try chown 1:1 file
             try ls /var/run/docker.sock; ls /sys/class/net; grep -E 'CapEff|NoNewPrivs' /proc/self/status",
        )
    };
    let story = run(&spec).await;
    assert_eq!(story.stdout, "mine\nlo\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n", "{}", story.stderr);
    assert_eq!(std::fs::read_to_string(dir.path().join("out")).unwrap(), "written\n");
}

#[tokio::test]
#[ignore = "needs a container engine: tests/containers"]
async fn a_limit_that_it_hits_is_named() {
    let hog =
        ContainerSpec { memory: Some(32 << 20), ..spec("x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo ${#x}") };
    let story = run(&hog).await;
    assert_eq!(story.limit, Some(Limit::Memory), "{story:?}");
    assert_eq!(story.report.unwrap().limit, Some(Limit::Memory));
}

#[tokio::test]
#[ignore = "needs a container engine: tests/containers"]
async fn a_fork_bomb_is_held() {
    let bomb = ContainerSpec { processes: Some(30), ..spec("b() { b & b & sleep 60; }; while :; do (b); done") };
    let mut started = start(&bomb).await;
    for _ in 0..3 {
        let vitals = soon(started.vitals.next()).await;
        assert!(vitals.processes <= 30, "{vitals:?}");
    }
    started.tree.signal(Signal::Kill);
    assert_eq!(read(&mut started).await.exit, Some(ExitStatus::Signal(9)));
    assert_eq!(left(&bomb).await, 0);
}

#[tokio::test]
#[ignore = "needs a container engine: tests/containers"]
async fn what_it_uses_is_told() {
    let mut started = start(&spec("while :; do :; done")).await;
    let vitals = loop {
        let vitals = soon(started.vitals.next()).await;
        if vitals.worked > 0 {
            break vitals;
        }
    };
    assert!(vitals.processes >= 1 && vitals.memory > 0 && vitals.cpu_percent > 1.0, "{vitals:?}");
    started.tree.signal(Signal::Kill);
    let report = read(&mut started).await.report.unwrap();
    assert!(report.peak_memory.unwrap() > 0 && report.cpu_time.unwrap() > Duration::ZERO, "{report:?}");
}

#[tokio::test]
#[ignore = "needs a container engine: tests/containers"]
async fn what_a_node_has_left_is_ended_by_its_label_alone() {
    let (mine, other) = (spec("sleep 1000"), spec("sleep 1000"));
    let (started, mut others) = (start(&mine).await, start(&other).await);
    // As if the node had died: nobody asks for an end.
    let id = started.id.clone();
    let gone = started.tree.gone();
    assert_eq!(left(&mine).await, 1);
    soon(gone.wait()).await;
    assert!(!others.tree.gone().is_gone(), "{id}");
    others.tree.signal(Signal::Kill);
    assert_eq!(read(&mut others).await.exit, Some(ExitStatus::Signal(9)));
}

#[tokio::test]
#[ignore = "needs a container engine: tests/containers"]
async fn what_is_not_there_is_named() {
    let engine = Engine::connect().await.unwrap();
    let absent = ContainerSpec { image: "no-such-image:1".to_owned(), ..spec("true") };
    let error = engine.start(&absent, &OutputPolicy::default()).await.unwrap_err();
    assert!(matches!(&error, ContainerError::NoImage(image) if image == "no-such-image:1"), "{error}");
    let no_program = ContainerSpec { command: vec!["no-such-program".to_owned()], ..spec("") };
    // The engine's init finds that out, and ends as a shell does.
    let story = run(&no_program).await;
    assert_eq!(story.exit, Some(ExitStatus::Code(127)));
    assert!(story.stderr.contains("no-such-program"), "{}", story.stderr);
}

#[tokio::test]
async fn no_engine_is_said_to_be_none() {
    let dir = tempfile::tempdir().unwrap();
    let host = format!("unix://{}/no.sock", dir.path().display());
    let error = Engine::connect_to(&host).await.unwrap_err();
    assert!(error.is_absence() && error.to_string().contains("DOCKER_HOST"), "{error}");
}
