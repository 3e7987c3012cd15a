//! Limits of a whole tree, where control groups hold them: what wants more gets none, and it is told which limit that was.

use std::time::{Duration, Instant};

use nexus_process::{Event, Groups, Launch, Limit, Limits, Wardens};

use crate::support::{Story, launch, read, sh, soon};

/// Control groups of this test alone; removed at its end.
struct Own(Groups);

impl Own {
    fn new() -> Self {
        static NAMES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = NAMES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Self(Groups::probe(&format!("nexus-test-{}-{number}", std::process::id())))
    }
}

async fn limited(wardens: &Wardens, script: &str, limits: Limits) -> (Story, nexus_process::Report) {
    let launch = Launch { limits, ..launch(sh(script)) };
    let mut started = soon(wardens.start(&launch)).await.unwrap();
    // Whoever watches ends it.
    let mut story = Story::default();
    loop {
        match soon(started.events.next()).await.unwrap() {
            Event::LimitHit(limit) => {
                story.limit = Some(limit);
                started.tree.signal(nexus_core::attempt::Signal::Kill);
            }
            Event::LeaderExited(status) => story.status = Some(status),
            Event::Output { lines, .. } => {
                story.stdout.extend(lines.iter().map(|line| String::from_utf8_lossy(&line.bytes).into_owned()));
            }
            Event::TreeGone => break,
        }
    }
    (story, started.tree.gone().report().unwrap())
}

const MEMORY: Limits =
    Limits { memory: Some(64 << 20), processes: None, cpu_milli: None, open_files: None, file_size: None };
const HOG: &str = "python3 -c 'x = [bytearray(1 << 20) for n in range(400)]; print(len(x))'; echo survived; sleep 60";

#[tokio::test]
async fn memory() {
    let own = Own::new();
    if own.0.memory.is_none() {
        return eprintln!("skipped: this user may use no control group for memory");
    }
    let wardens = Wardens::new(own.0.clone());
    let (story, report) = limited(&wardens, HOG, MEMORY).await;
    assert_eq!((story.limit, report.limit), (Some(Limit::Memory), Some(Limit::Memory)));
    assert!(!story.stdout.contains(&"400".to_owned()), "{:?}", story.stdout);
    assert!(report.peak_memory.unwrap() <= 64 << 20, "{report:?}");
    // The next one has no limit, and is counted anew.
    let (story, report) = limited(&wardens, "python3 -c 'print(len(bytearray(100 << 20)))'", Limits::default()).await;
    assert_eq!((story.limit, story.stdout.len()), (None, 1), "{story:?}");
    assert!(report.peak_memory.unwrap() >= 100 << 20, "{report:?}");
    let (_, report) = limited(&wardens, "true", Limits::default()).await;
    assert!(report.peak_memory.unwrap() < 50 << 20, "{report:?}");
    wardens.close().await;
    assert!(!own.0.memory.unwrap().path.exists());
}

#[tokio::test]
async fn processes() {
    let own = Own::new();
    if own.0.pids.is_none() {
        return eprintln!("skipped: this user may use no control group for processes");
    }
    let wardens = Wardens::new(own.0.clone());
    let limits = Limits { processes: Some(20), ..Limits::default() };
    let bomb = "bomb() { bomb & bomb & wait; }; bomb";
    let begin = Instant::now();
    let (story, _) = limited(&wardens, bomb, limits).await;
    assert_eq!(story.limit, Some(Limit::Processes));
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    // Just as many as it may have.
    let (story, _) = limited(&wardens, "for i in $(seq 19); do sleep 0.1 & done; wait; echo well", limits).await;
    assert_eq!((story.limit, story.stdout), (None, vec!["well".to_owned()]));
    wardens.close().await;
}

#[tokio::test]
async fn processors() {
    let own = Own::new();
    if own.0.cpu.is_none() {
        return eprintln!("skipped: this user may use no control group for processors");
    }
    let wardens = Wardens::new(own.0.clone());
    let limits = Limits { cpu_milli: Some(200), ..Limits::default() };
    let begin = Instant::now();
    let burn = "python3 -c 'import time; begin = time.process_time()\nwhile time.process_time() < begin + 0.4: pass'";
    let (story, report) = limited(&wardens, burn, limits).await;
    assert_eq!(story.limit, None);
    let share = report.cpu_time.unwrap().as_secs_f64() / begin.elapsed().as_secs_f64();
    assert!(share < 0.35, "it had {share} of a processor");
    wardens.close().await;
}

#[tokio::test]
async fn a_group_that_only_holds_a_limit_is_entered_when_there_is_one() {
    let own = Own::new();
    let Some(pids) = &own.0.pids else {
        return eprintln!("skipped: this user may use no control group for processes");
    };
    let others = [own.0.memory.as_ref().map(|memory| &memory.path), own.0.end.as_ref()];
    let is_shared = others.contains(&Some(&pids.path));
    let wardens = Wardens::new(own.0.clone());
    for (limits, is_held) in
        [(Limits::default(), is_shared), (Limits { processes: Some(50), ..Limits::default() }, true)]
    {
        let mut started = soon(wardens.start(&Launch { limits, ..launch(sh("echo ready; sleep 60")) })).await.unwrap();
        crate::support::line(&mut started.events).await;
        let groups = std::fs::read_to_string(format!("/proc/{}/cgroup", started.tree.pid())).unwrap();
        let group = format!("/{}/", pids.path.file_name().unwrap().to_str().unwrap());
        let held = groups.lines().filter(|line| line.contains(":pids:") || line.starts_with("0::"));
        // Of version 2 there is a group in any case where it can be used to end a tree.
        let held = held.filter(|line| is_shared || line.contains(":pids:"));
        assert_eq!(held.filter(|line| line.contains(&group)).count(), usize::from(is_held), "{groups}");
        started.tree.signal(nexus_core::attempt::Signal::Kill);
        read(&mut started.events).await;
    }
    wardens.close().await;
    own.0.remove_whole();
}

#[tokio::test]
async fn there_is_a_group_to_be_found_by_where_only_limits_can_be_held() {
    let own = Own::new();
    let Some(pids) = &own.0.pids else {
        return eprintln!("skipped: this user may use no control group for processes");
    };
    let only = Groups { memory: None, cpu: None, end: None, ..own.0.clone() };
    let wardens = Wardens::new(only.clone());
    let mut started = soon(wardens.start(&launch(sh("echo ready; sleep 60")))).await.unwrap();
    crate::support::line(&mut started.events).await;
    let held = std::fs::read_to_string(pids.path.join("w0/cgroup.procs")).unwrap();
    assert!(held.lines().any(|pid| pid == started.tree.pid().to_string()), "{held}");
    assert!(only.reconcile() >= 2);
    read(&mut started.events).await;
    own.0.remove_whole();
}

#[tokio::test]
async fn what_a_killed_company_has_left_in_its_groups_is_ended() {
    let own = Own::new();
    let Some(pids) = &own.0.pids else {
        return eprintln!("skipped: this user may use no control group");
    };
    let wardens = Wardens::new(own.0.clone());
    let mut started = soon(wardens.start(&launch(sh("echo ready; sleep 60")))).await.unwrap();
    crate::support::line(&mut started.events).await;
    let begin = Instant::now();
    assert!(own.0.reconcile() >= 2);
    let story = read(&mut started.events).await;
    assert!(story.status.is_some() && begin.elapsed() < Duration::from_secs(10));
    for path in [own.0.memory.as_ref().map(|memory| &memory.path), Some(&pids.path)].into_iter().flatten() {
        assert_eq!(std::fs::read_dir(path).unwrap().flatten().filter(|entry| entry.path().is_dir()).count(), 0);
    }
    own.0.remove_whole();
}

#[tokio::test]
async fn what_a_killed_warden_leaves_in_its_groups_is_ended() {
    let own = Own::new();
    if own.0.end.is_none() {
        return eprintln!("skipped: this user may use no control group");
    }
    let wardens = Wardens::new(own.0.clone());
    // Without an environment it can't be known by its mark.
    let script = "env -i setsid sh -c 'trap \"\" TERM; echo ready; while :; do sleep 60; done' & wait";
    let mut started = soon(wardens.start(&launch(sh(script)))).await.unwrap();
    crate::support::line(&mut started.events).await;
    let warden = i32::try_from(started.tree.warden().unwrap()).unwrap();
    let group = own.0.end.as_ref().unwrap().join("w0/tree0/cgroup.procs");
    assert!(std::fs::read_to_string(&group).unwrap().lines().count() >= 2);
    rustix::process::kill_process(rustix::process::Pid::from_raw(warden).unwrap(), rustix::process::Signal::KILL)
        .unwrap();
    soon(started.tree.gone().wait()).await;
    assert_eq!(std::fs::read_to_string(&group).unwrap(), "");
    wardens.close().await;
    own.0.remove_whole();
}

#[tokio::test]
async fn without_control_groups_it_keeps_to_few_processors() {
    let wardens = Wardens::new(Groups::default());
    let limits = Limits { cpu_milli: Some(500), ..Limits::default() };
    assert_eq!(limited(&wardens, "nproc", limits).await.0.stdout, ["1"]);
}

#[tokio::test]
async fn without_control_groups_nothing_of_them_is_used() {
    let wardens = Wardens::new(Groups::default());
    let (story, report) = limited(&wardens, "echo well", MEMORY).await;
    assert_eq!((story.limit, story.stdout), (None, vec!["well".to_owned()]));
    assert!(report.peak_memory.is_some());
}
