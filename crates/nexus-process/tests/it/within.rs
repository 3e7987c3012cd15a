//! A program that is run in an overlay for whoever sits at the terminal: what ends with it, what doesn't, and how long the layers
//! are its own.

use std::fs::File;
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};

use nexus_process::{Command, user_environment};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::confined_walls::sleeping;
use crate::overlay::{Layers, layers, overlay};
use crate::support::until;

/// The directory with the layers, and how long the program sleeps.
const LAYERS: &str = "NEXUS_TEST_LAYERS";
const LENGTH: &str = "NEXUS_TEST_LENGTH";

/// The program of [`Session`]: it claims the layers, and has a shell run there.
#[tokio::test]
#[ignore = "a part of the other tests"]
async fn claimant() {
    let (place, length) = (std::env::var_os(LAYERS).unwrap(), std::env::var(LENGTH).unwrap());
    let overlay = overlay(&PathBuf::from(place));
    let claim = File::open(&overlay.upper).unwrap();
    claim.try_lock().unwrap();
    let here = std::process::id();
    let script = format!("setsid sleep {length} & sleep {length} & echo; echo ready {here}; sleep {length}");
    let command = Command::new("sh", &overlay.target).args(["-c", &script]).env(user_environment(&[]));
    overlay.attend(&command, false, Some(&claim)).await.unwrap();
}

/// A shell that runs [`claimant`] as its job, in the job's process group.
struct Session {
    shell: Child,
    lines: Lines<BufReader<ChildStdout>>,
    claimant: Pid,
    length: String,
}

impl Session {
    async fn begin(layers: &Layers, length: u32) -> Self {
        let length = format!("{length}.{}", std::process::id());
        let mut shell = std::process::Command::new("sh")
            .args(["-c", "\"$0\" \"$@\" & wait $!; echo it goes on"])
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "within::claimant", "--nocapture"])
            .env(LAYERS, layers.overlay.upper.parent().unwrap())
            .env(LENGTH, &length)
            .process_group(0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines();
        let said = lines.find_map(|line| line.unwrap().strip_prefix("ready ").map(str::to_owned)).unwrap();
        let claimant = Pid::from_raw(said.parse().unwrap()).unwrap();
        until(|| sleeping(&length) == 3).await;
        Self { shell, lines, claimant, length }
    }
}

fn is_claimed(upper: &Path) -> bool {
    File::open(upper).unwrap().try_lock().is_err()
}

#[tokio::test]
async fn only_its_own_processes_end_when_its_caller_is_killed() {
    let Some(layers) = layers() else { return };
    let mut session = Session::begin(&layers, 71).await;
    kill_process(session.claimant, Signal::KILL).unwrap();
    until(|| sleeping(&session.length) == 0).await;
    assert_eq!(session.lines.next().unwrap().unwrap(), "it goes on");
    assert!(session.shell.wait().unwrap().success());
}

#[tokio::test]
async fn the_layers_are_claimed_until_the_last_process_has_ended() {
    // A job is killed, a terminal is closed.
    for (signal, length) in [(Signal::KILL, 72), (Signal::HUP, 73)] {
        let Some(layers) = layers() else { return };
        let mut session = Session::begin(&layers, length).await;
        assert!(is_claimed(&layers.overlay.upper));
        kill_process_group(Pid::from_child(&session.shell), signal).unwrap();
        until(|| !is_claimed(&layers.overlay.upper)).await;
        assert_eq!(sleeping(&session.length), 0, "{signal:?}");
        until(|| layers.is_unmounted()).await;
        assert!(!session.shell.wait().unwrap().success());
    }
}
