//! Short tools: their output is had as it is, and they don't outstay their welcome.

use std::time::{Duration, Instant};

use nexus_core::attempt::ExitStatus;
use nexus_process::{CaptureError, capture};

use crate::support::sh;

const TIME: Duration = Duration::from_secs(20);

#[tokio::test]
async fn output_is_kept_byte_by_byte() {
    let captured = capture(&sh(r"printf 'a\r\n\0b'; printf oops >&2; exit 4"), TIME, 1000).await.unwrap();
    assert_eq!((&captured.stdout[..], &captured.stderr[..]), (&b"a\r\n\0b"[..], &b"oops"[..]));
    assert_eq!(captured.status, ExitStatus::Code(4));
    assert!(!captured.success());
}

#[tokio::test]
async fn one_that_takes_too_long_is_killed() {
    let begin = Instant::now();
    let error = capture(&sh("sleep 60"), Duration::from_millis(100), 1000).await.unwrap_err();
    assert!(matches!(error, CaptureError::TimedOut { .. }), "{error}");
    assert_eq!(error.to_string(), "`sh` did not end within 0.1 s, and was killed");
    assert!(begin.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn one_that_prints_too_much_is_killed() {
    let error = capture(&sh("yes"), TIME, 100_000).await.unwrap_err();
    assert!(matches!(error, CaptureError::TooLong { limit: 100_000, .. }), "{error}");
}

#[tokio::test]
async fn what_it_leaves_behind_is_killed() {
    let captured = capture(&sh("sleep 60 & echo $!"), TIME, 1000).await.unwrap();
    let left = String::from_utf8(captured.stdout).unwrap();
    let state = std::fs::read_to_string(format!("/proc/{}/stat", left.trim())).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "{state}");
}
