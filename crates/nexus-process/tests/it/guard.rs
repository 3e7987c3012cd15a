//! A guard that takes another's place goes by what that one was told.

use std::time::Duration;

use nexus_process::guard::{Guard, GuardSpec};

#[tokio::test]
async fn the_next_guard_is_told_what_is_left_of_the_last_word() {
    let dir = tempfile::tempdir().unwrap();
    let words = dir.path().join("words");
    // One that ends after it was given a minute.
    let script = format!(
        "while read word; do echo $word >> {}; echo held; [ $word = 60000 ] && exit; done; exit 0",
        words.display()
    );
    let spec = GuardSpec { program: "/bin/sh".into(), args: vec!["-c".into(), script.into()] };
    let guard = Guard::start(spec).await.unwrap();
    guard.hold(Some(Duration::from_secs(60))).await.unwrap();
    let told = async {
        loop {
            let text = std::fs::read_to_string(&words).unwrap();
            if let Some(word) = text.lines().nth(2) {
                return word.to_owned();
            }
            // sleep: what a script has written is not announced.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let word = tokio::time::timeout(Duration::from_secs(30), told).await.unwrap();
    assert!((1..60_000).contains(&word.parse().unwrap()), "{word}");
    guard.close().await;
}
