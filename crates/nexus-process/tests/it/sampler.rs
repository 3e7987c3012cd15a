//! The health of groups as a user would see it in `top`.

use nexus_core::attempt::Signal;
use nexus_process::{Groups, Sampler, Target, Wardens};

use crate::support::{launch, line, read, sh, soon, spawn, until};

#[tokio::test]
async fn a_busy_and_a_sleeping_group_are_told_apart() {
    let (busy, mut busy_events) = spawn(&sh("sleep 60 & echo ready; while :; do :; done"));
    let (idle, mut idle_events) = spawn(&sh("echo ready; sleep 60; true"));
    line(&mut busy_events).await;
    line(&mut idle_events).await;
    let sampler = Sampler::new();
    let leaders = [busy.target().unwrap(), idle.target().unwrap(), Target::Group(u32::MAX)];
    let first = sampler.sample(&leaders);
    assert_eq!(first.len(), 2, "a group that is not there has no sample");
    assert_eq!(first[&busy.target().unwrap()].cpu_percent, 0.0);
    assert!(first[&idle.target().unwrap()].rss_bytes > 100_000);
    assert_eq!(sampler.sample(&leaders), first, "asked again at once, nothing is read");

    let mut last = first;
    until(|| {
        last = sampler.sample(&leaders);
        last[&busy.target().unwrap()].cpu_percent > 5.0 && last[&busy.target().unwrap()].processes == 2
    })
    .await;
    assert!(last[&idle.target().unwrap()].cpu_percent < last[&busy.target().unwrap()].cpu_percent);

    busy.signal(Signal::Kill);
    read(&mut busy_events).await;
    soon(busy.gone().wait()).await;
    until(|| !sampler.sample(&leaders).contains_key(&busy.target().unwrap())).await;
}

#[tokio::test]
async fn what_a_tree_uses_is_told_as_long_as_it_is_watched() {
    let wardens = Wardens::new(Groups::default());
    let start = async |script: &str| {
        let mut started = soon(wardens.start(&launch(sh(script)))).await.unwrap();
        line(&mut started.events).await;
        started
    };
    let busy = start("setsid sh -c 'while :; do :; done' & sleep 60 & echo ready; wait").await;
    let idle = start("echo ready; sleep 60; true").await;
    let hog =
        start("python3 -c 'import time; x = bytearray(64 << 20); print(1, flush=True); time.sleep(60)'; true").await;
    let sampler = Sampler::new();
    let [mut busy_watch, mut idle_watch, mut hog_watch] =
        [&busy, &idle, &hog].map(|started| sampler.watch(started.tree.target().unwrap()));
    let seen = soon(hog_watch.next()).await;
    assert!(seen.memory > 64 << 20 && seen.processes == 2, "{seen:?}");
    while soon(busy_watch.next()).await.worked < 3 {}
    let seen = soon(idle_watch.next()).await;
    assert_eq!((seen.processes, seen.worked), (2, 0), "{seen:?}");
    let first = sampler.sample(&[busy.tree.target().unwrap()]);
    assert_eq!(first[&busy.tree.target().unwrap()].processes, 3);
}
