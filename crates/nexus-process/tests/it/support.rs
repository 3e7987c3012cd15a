//! Starting a shell and reading it to its end, with a time-out on everything.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nexus_core::attempt::ExitStatus;
use nexus_core::log::Stream;
use nexus_process::{Command, Event, Events, Launch, Limit, Limits, OutputPolicy, Tree, user_environment};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}

/// `sh -c script`, in the temporary directory.
pub(crate) fn sh(script: &str) -> Command {
    Command::new("sh", std::env::temp_dir()).args(["-c", script]).env(user_environment(&[]))
}

pub(crate) fn spawn(command: &Command) -> (Tree, Events) {
    Tree::spawn(command, &OutputPolicy::default()).unwrap()
}

/// All that a tree told.
#[derive(Debug, Default)]
pub(crate) struct Story {
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
    pub(crate) bytes: u64,
    pub(crate) status: Option<ExitStatus>,
    pub(crate) limit: Option<Limit>,
}

/// Reads to the end, and checks that it is told in order.
pub(crate) async fn read(events: &mut Events) -> Story {
    let mut story = Story::default();
    loop {
        match soon(events.next()).await.expect("ended without TreeGone") {
            Event::Output { stream, lines, bytes } => {
                story.bytes += bytes;
                let into = if stream == Stream::Stdout { &mut story.stdout } else { &mut story.stderr };
                into.extend(lines.iter().map(|line| String::from_utf8_lossy(&line.bytes).into_owned()));
            }
            Event::LimitHit(limit) => story.limit = Some(limit),
            Event::LeaderExited(status) => assert_eq!(story.status.replace(status), None, "told twice"),
            Event::TreeGone => break,
        }
    }
    assert!(story.status.is_some(), "TreeGone before LeaderExited");
    assert_eq!(events.next().await, None, "an event after TreeGone");
    story
}

pub(crate) async fn run(command: &Command) -> Story {
    let (tree, mut events) = spawn(command);
    let story = read(&mut events).await;
    assert!(tree.gone().is_gone());
    assert_eq!(alive(tree.pid()), Vec::<String>::new());
    story
}

/// Waits for the next line on standard output.
pub(crate) async fn line(events: &mut Events) -> String {
    loop {
        if let Event::Output { lines, .. } = soon(events.next()).await.expect("ended before it printed a line")
            && let Some(line) = lines.first()
        {
            return String::from_utf8_lossy(&line.bytes).into_owned();
        }
    }
}

/// Waits until the leader has said `words` and has ended well. Which of them is told first is open: its end is not held back until
/// everything that it has printed is read.
pub(crate) async fn said_and_left(events: &mut Events, words: &str) {
    let (mut said, mut left) = (false, false);
    while !(said && left) {
        let event = soon(events.next()).await;
        match &event {
            Some(Event::Output { lines, .. }) => said |= lines.iter().any(|line| line.bytes == words.as_bytes()),
            _ => {
                assert_eq!(event, Some(Event::LeaderExited(ExitStatus::Code(0))), "before it has said: {words}");
                left = true;
            }
        }
    }
}

/// The living processes of a group, by an own look at `/proc`: `pid (name) state`.
pub(crate) fn alive(group: u32) -> Vec<String> {
    let stats = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    stats
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok())
        .filter(|stat| {
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
            fields[2] == group.to_string() && fields[0] != "Z"
        })
        .collect()
}

/// Waits until a look at the system says so: for what makes no event.
pub(crate) async fn until(mut what: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !what() {
        assert!(begin.elapsed() < PATIENCE, "it takes too long");
        // sleep: `/proc` notifies nobody.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A command for a warden to start, without limits and unconfined; marked by its own name.
pub(crate) fn launch(command: Command) -> Launch {
    static NAMES: AtomicU64 = AtomicU64::new(0);
    let mark =
        ("NEXUS_TEST_MARK".to_owned(), format!("{}-{}", std::process::id(), NAMES.fetch_add(1, Ordering::Relaxed)));
    let command = command.env([mark.clone()]);
    Launch {
        command,
        limits: Limits::default(),
        confinement: None,
        overlays: Vec::new(),
        kill_after: None,
        mark,
        output: OutputPolicy::default(),
    }
}

/// The processes that a variable marks, by an own look at `/proc`.
pub(crate) fn marked((name, value): &(String, String)) -> Vec<u32> {
    let mark = format!("{name}={value}").into_bytes();
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|variable| variable == mark)
    })
    .collect()
}
