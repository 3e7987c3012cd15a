//! The health of groups as a user would see it in `top`.

use nexus_core::attempt::Signal;
use nexus_process::Sampler;

use crate::support::{line, read, sh, soon, spawn, until};

#[tokio::test]
async fn a_busy_and_a_sleeping_group_are_told_apart() {
    let (busy, mut busy_events) = spawn(&sh("sleep 60 & echo ready; while :; do :; done"));
    let (idle, mut idle_events) = spawn(&sh("echo ready; sleep 60; true"));
    line(&mut busy_events).await;
    line(&mut idle_events).await;
    let sampler = Sampler::new();
    let leaders = [busy.pid(), idle.pid(), u32::MAX];
    let first = sampler.sample(&leaders);
    assert_eq!(first.len(), 2, "a group that is not there has no sample");
    assert_eq!(first[&busy.pid()].cpu_percent, 0.0);
    assert!(first[&idle.pid()].rss_bytes > 100_000);
    assert_eq!(sampler.sample(&leaders), first, "asked again at once, nothing is read");

    let mut last = first;
    until(|| {
        last = sampler.sample(&leaders);
        last[&busy.pid()].cpu_percent > 5.0 && last[&busy.pid()].processes == 2
    })
    .await;
    assert!(last[&idle.pid()].cpu_percent < last[&busy.pid()].cpu_percent);

    busy.signal(Signal::Kill);
    read(&mut busy_events).await;
    soon(busy.gone().wait()).await;
    until(|| !sampler.sample(&leaders).contains_key(&busy.pid())).await;
}
