#![cfg(unix)]

use super::*;

fn shell(script: &str, dir: &tempfile::TempDir) -> DaemonSpec {
    DaemonSpec {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: vec![("GIVEN".into(), "yes".into())],
        output: dir.path().join("output"),
    }
}

/// Waits until the daemon has written something.
async fn written(spec: &DaemonSpec) -> String {
    let look = async {
        loop {
            let text = std::fs::read_to_string(&spec.output).unwrap();
            if text.ends_with('\n') {
                return text;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), look).await.expect("the daemon writes")
}

#[tokio::test]
async fn the_environment_is_what_was_given_and_output_goes_to_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let spec = shell("echo \"$GIVEN ${HOME-none}\"; echo err >&2; exit 3", &dir);
    let mut daemon = start(&spec).await.unwrap();
    assert_eq!(daemon.wait().await.unwrap().code(), Some(3));
    assert_eq!(std::fs::read_to_string(&spec.output).unwrap(), "yes none\nerr\n");
}

#[tokio::test]
async fn term_is_enough_for_one_that_listens() {
    let dir = tempfile::tempdir().unwrap();
    let spec = shell("trap 'kill $!; exit 7' TERM; echo ready; while :; do sleep 60 & wait; done", &dir);
    let mut daemon = start(&spec).await.unwrap();
    written(&spec).await;
    assert_eq!(daemon.terminate(Duration::from_secs(20)).await.unwrap().code(), Some(7));
}

#[tokio::test]
async fn one_that_ignores_term_is_killed() {
    use std::os::unix::process::ExitStatusExt as _;
    let dir = tempfile::tempdir().unwrap();
    let spec = shell("trap '' TERM; echo ready; while :; do sleep 60; done", &dir);
    let mut daemon = start(&spec).await.unwrap();
    written(&spec).await;
    assert_eq!(daemon.terminate(Duration::from_millis(50)).await.unwrap().signal(), Some(9));
}

#[tokio::test]
async fn a_leftover_is_ended_only_when_its_argument_matches() {
    let dir = tempfile::tempdir().unwrap();
    let spec = DaemonSpec { program: "sleep".into(), args: vec!["61".into()], ..shell("", &dir) };
    let mut daemon = start(&spec).await.unwrap();
    let grace = Duration::from_secs(20);
    assert!(!leftover::end(daemon.pid(), "other".as_ref(), grace).await);
    assert!(leftover::is_alive(daemon.pid(), &spec.args[0]));
    let (ended, exit) = tokio::join!(leftover::end(daemon.pid(), &spec.args[0], grace), daemon.wait());
    assert!(ended && !exit.unwrap().success());
    assert!(!leftover::is_alive(daemon.pid(), &spec.args[0]));
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let spec = DaemonSpec { program: "/no/such/program".into(), ..shell("", &dir) };
    let error = start(&spec).await.unwrap_err().to_string();
    assert!(error.starts_with("start /no/such/program: "), "{error}");
}

#[tokio::test]
async fn another_process_is_asked_to_end_and_seen_to_end() {
    let dir = tempfile::tempdir().unwrap();
    let spec = shell("trap 'kill $!; exit 7' TERM; echo ready; while :; do sleep 60 & wait; done", &dir);
    let mut daemon = start(&spec).await.unwrap();
    written(&spec).await;
    let other = OtherProcess::open(daemon.pid()).unwrap().unwrap();
    assert!(!other.has_ended());
    if cfg!(target_os = "linux") {
        assert_eq!(other.has_open(&spec.output), Some(true));
        assert_eq!(other.has_open("/bin/sh".as_ref()), Some(false));
    }
    other.ask_to_end().unwrap();
    assert_eq!(daemon.wait().await.unwrap().code(), Some(7));
    assert!(other.has_ended());
    other.ask_to_end().unwrap();
    assert!(OtherProcess::open(u32::MAX).unwrap().is_none());
}

#[test]
fn a_log_that_has_become_large_is_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("up.log");
    let begin = |size| {
        std::fs::File::options().create(true).append(true).open(&log).unwrap().set_len(size).unwrap();
        let mut started = detach("/bin/sh".as_ref(), &["-c".into(), "echo said".into()], &log).unwrap();
        assert!(started.wait().unwrap().success());
        std::fs::metadata(&log).unwrap().len()
    };
    assert_eq!(begin(100), 105);
    assert_eq!(begin(detached::LARGE), 5);
    assert_eq!(std::fs::metadata(dir.path().join("up.log.old")).unwrap().len(), detached::LARGE);
}
