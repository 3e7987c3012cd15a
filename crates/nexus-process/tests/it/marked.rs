//! A process that outlives its owner is found by its mark and ended; one that isn't marked is left alone.

use std::time::Duration;

use nexus_process::{Command, OutputPolicy, Tree, end_marked};

#[tokio::test]
async fn ends_the_marked_and_nothing_else() {
    let value = format!("node-{}-{:?}", std::process::id(), std::time::SystemTime::now());
    let spawn = |mark: &str, script: &str| {
        let path = ("PATH".to_owned(), std::env::var("PATH").unwrap());
        let command = Command::new("sh", "/").args(["-c", script]).env([path, ("MARK".to_owned(), mark.to_owned())]);
        Tree::spawn(&command, &OutputPolicy::default()).unwrap()
    };
    let (bystander, _bystanders) = spawn("another", "sleep 60");
    let (leader, mut events) = spawn(&value, "setsid sleep 60 & sleep 60");
    // The grandchild that left the group is there once the leader's other child is: wait for three carriers.
    let alive = async {
        let mark = format!("MARK={value}");
        let carriers = || {
            let pids = std::fs::read_dir("/proc").unwrap().flatten();
            let environs = pids.filter_map(|entry| std::fs::read(entry.path().join("environ")).ok());
            environs.filter(|env| env.split(|byte| *byte == 0).any(|var| var == mark.as_bytes())).count()
        };
        while carriers() < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), alive).await.unwrap();

    let marked = end_marked("MARK", &value, Duration::from_secs(10)).await;

    assert_eq!((marked.ended, marked.alive), (3, vec![]));
    tokio::time::timeout(Duration::from_secs(10), leader.gone().wait()).await.unwrap();
    while events.next().await.is_some() {}
    assert!(!bystander.gone().is_gone());
}
