//! A program for the person at our terminal.

use nexus_process::{Command, SpawnError, attend, user_environment};

#[tokio::test]
async fn its_exit_code_is_passed_on() {
    let run = async |script: &str| {
        attend(&Command::new("sh", "/").args(["-c", script]).env(user_environment(&[]))).await.unwrap()
    };
    assert_eq!((run("exit 0").await, run("exit 7").await), (0, 7));
    assert_eq!(run("kill -TERM $$").await, 128 + 15);
    // The terminal sends it to the whole group: this process goes on.
    assert_eq!(run("trap 'exit 5' INT; kill -INT $PPID; kill -INT $$; exit 1").await, 5);
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let missing = attend(&Command::new("no-such-program", "/").env(user_environment(&[]))).await;
    assert!(matches!(missing, Err(SpawnError::NotInPath { .. })), "{missing:?}");
}
