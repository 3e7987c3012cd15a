//! Trees that a warden keeps: nothing leaves them, nothing outlives them, and the next one finds the warden as it was.

use std::time::Duration;

use nexus_core::attempt::{ExitStatus, Signal};
use nexus_process::{Event, Launch, Limit, SpawnError, Started, Stdin, Wardens};

use crate::support::{Story, launch, line, marked, read, said_and_left, sh, soon, until};

async fn start(wardens: &Wardens, launch: &Launch) -> Started {
    soon(wardens.start(launch)).await.unwrap()
}

async fn run(wardens: &Wardens, launch: &Launch) -> (Story, u32) {
    let mut started = start(wardens, launch).await;
    let story = read(&mut started.events).await;
    assert!(started.tree.gone().is_gone());
    (story, started.tree.warden().unwrap())
}

/// Daemons as the worst ones are: of their own session, twice forked, without an environment, deaf to INT, TERM and HUP.
const ESCAPE: &str = "for i in 1 2 3; do
    env -i setsid sh -c 'trap \"\" INT TERM HUP; (trap \"\" INT TERM HUP; while :; do sleep 60; done) & exit' \\
        >/dev/null 2>&1 </dev/null &
done; wait";

/// Processes below a warden, which is what it looks at itself.
fn below(warden: u32) -> usize {
    let children = std::fs::read_to_string(format!("/proc/{warden}/task/{warden}/children")).unwrap_or_default();
    children.split_whitespace().count()
}

#[tokio::test]
async fn one_warden_serves_one_tree_after_another() {
    let wardens = Wardens::new(nexus_process::Groups::default());
    let (first, warden) = run(&wardens, &launch(sh("echo one; echo two >&2; exit 3"))).await;
    assert_eq!((first.stdout, first.stderr), (vec!["one".to_owned()], vec!["two".to_owned()]));
    assert_eq!(first.status, Some(ExitStatus::Code(3)));
    let reading = sh("cat; printf %s \"$MORE\"").env([("MORE", "end")]).stdin(Stdin::Bytes("from us\n".into()));
    let (second, again) = run(&wardens, &launch(reading)).await;
    assert_eq!((second.stdout, again), (vec!["from us".to_owned(), "end".to_owned()], warden));
    let (third, again) = run(&wardens, &launch(sh("kill -TERM $$"))).await;
    assert_eq!((third.status, again), (Some(ExitStatus::Signal(15)), warden));
}

#[tokio::test]
async fn what_detaches_itself_is_of_the_tree_all_the_same() {
    let wardens = Wardens::new(nexus_process::Groups::default());
    let launch = launch(sh(&format!("{ESCAPE}\necho ready")));
    let mut started = start(&wardens, &launch).await;
    said_and_left(&mut started.events, "ready").await;
    let warden = started.tree.warden().unwrap();
    // Each daemon has a `sleep` of its own below it.
    until(|| below(warden) == 3).await;
    started.tree.signal(Signal::Terminate);
    let early = tokio::time::timeout(Duration::from_millis(300), started.events.next()).await;
    assert!(early.is_err(), "{early:?} while daemons live");
    started.tree.signal(Signal::Kill);
    assert_eq!(soon(started.events.next()).await, Some(Event::TreeGone));
    assert_eq!(below(warden), 0);
    let (story, same) = run(&wardens, &crate::support::launch(sh("echo next"))).await;
    assert_eq!((story.stdout, same), (vec!["next".to_owned()], warden));
}

#[tokio::test]
async fn a_fork_bomb_is_ended() {
    let wardens = Wardens::new(nexus_process::Groups::default());
    // Bounded, so that a failure of this test leaves a machine to find it on.
    let bomb = "bomb() { [ $1 -lt 9 ] && { bomb $(($1 + 1)) & bomb $(($1 + 1)) & }; wait; sleep 60; }; echo go; bomb 0";
    let mut started = start(&wardens, &launch(sh(bomb))).await;
    assert_eq!(line(&mut started.events).await, "go");
    let warden = started.tree.warden().unwrap();
    until(|| below(warden) > 0).await;
    // Once: whatever is forked meanwhile is found when its parent is reaped.
    started.tree.signal(Signal::Kill);
    while soon(started.events.next()).await != Some(Event::TreeGone) {}
    assert_eq!(below(warden), 0);
}

#[tokio::test]
async fn a_tree_that_nobody_holds_is_ended() {
    let wardens = Wardens::new(nexus_process::Groups::default());
    let launch = launch(sh(&format!("trap '' INT TERM; {ESCAPE}\nsleep 60 & echo ready; wait")));
    let mut started = start(&wardens, &launch).await;
    assert_eq!(line(&mut started.events).await, "ready");
    let (warden, gone) = (started.tree.warden().unwrap(), started.tree.gone());
    drop(started);
    soon(gone.wait()).await;
    assert_eq!((below(warden), marked(&launch.mark)), (0, vec![]));
}

#[test]
fn a_runtime_that_is_gone_leaves_nothing_behind() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let wardens = Wardens::new(nexus_process::Groups::default());
    let launch = launch(sh(&format!("trap '' INT TERM; {ESCAPE}\nsleep 60 & echo ready; wait")));
    let (started, warden) = runtime.block_on(async {
        let mut started = start(&wardens, &launch).await;
        assert_eq!(line(&mut started.events).await, "ready");
        let warden = started.tree.warden().unwrap();
        (started, warden)
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    let begin = std::time::Instant::now();
    while std::fs::read_to_string(format!("/proc/{warden}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(begin.elapsed() < Duration::from_secs(10), "the warden lives on");
        std::thread::yield_now();
    }
    assert_eq!(marked(&launch.mark), Vec::<u32>::new());
    drop(started);
}

#[tokio::test]
async fn a_killed_warden_is_replaced_and_leaves_nothing_behind() {
    let wardens = Wardens::new(nexus_process::Groups::default());
    let launch = launch(sh("trap '' INT TERM; (setsid sleep 60 &) ; echo ready; sleep 60"));
    let mut started = start(&wardens, &launch).await;
    assert_eq!(line(&mut started.events).await, "ready");
    let warden = started.tree.warden().unwrap();
    kill(warden).await;
    let story = read(&mut started.events).await;
    assert_eq!(story.status, Some(ExitStatus::Signal(9)));
    assert_eq!(marked(&launch.mark), Vec::<u32>::new());
    // And one that is killed while it keeps nothing.
    let (_, idle) = run(&wardens, &crate::support::launch(sh("true"))).await;
    assert_ne!(idle, warden);
    kill(idle).await;
    let (story, next) = run(&wardens, &crate::support::launch(sh("echo well"))).await;
    assert_eq!(story.stdout, ["well"]);
    assert_ne!(next, idle);
}

async fn kill(pid: u32) {
    crate::support::run(&sh(&format!("kill -9 {pid}"))).await;
    until(|| std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))).await;
}

#[tokio::test]
async fn the_wardens_own_deadline_ends_a_tree() {
    let wardens = Wardens::new(nexus_process::Groups::default());
    let mut launch = launch(sh("sleep 60"));
    launch.kill_after = Some(Duration::from_millis(50));
    let mut started = start(&wardens, &launch).await;
    assert_eq!(soon(started.events.next()).await, Some(Event::LimitHit(Limit::Time)));
    assert_eq!(soon(started.events.next()).await, Some(Event::LeaderExited(ExitStatus::Signal(9))));
    assert_eq!(soon(started.events.next()).await, Some(Event::TreeGone));
    assert_eq!(started.tree.gone().report().unwrap().limit, Some(Limit::Time));
}

#[tokio::test]
async fn limits_of_each_process_are_in_force() {
    let wardens = Wardens::new(nexus_process::Groups::default());
    let mut limited = launch(sh("ulimit -n; ulimit -f"));
    (limited.limits.open_files, limited.limits.file_size) = (Some(77), Some(512 * 100));
    assert_eq!(run(&wardens, &limited).await.0.stdout, ["77", "100"]);
    // What is written for the child is not the warden's, whose memory it has at that time.
    let mut limited = launch(sh("cat /proc/self/oom_score_adj"));
    limited.limits.memory = Some(1 << 30);
    let (story, warden) = run(&wardens, &limited).await;
    assert_eq!(story.stdout, ["500"]);
    let score = |process: &str| std::fs::read_to_string(format!("/proc/{process}/oom_score_adj")).unwrap();
    assert_eq!(score(&warden.to_string()), score("self"));
    // The next one of this warden has its own.
    let free = run(&wardens, &launch(sh("ulimit -f"))).await.0.stdout;
    assert_eq!(free, ["unlimited"]);
}

#[tokio::test]
async fn what_it_used_is_told() {
    let wardens = Wardens::new(nexus_process::Groups::default());
    let hog = "python3 -c 'x = bytearray(80_000_000); sum(range(3_000_000))'";
    let mut started = start(&wardens, &launch(sh(hog))).await;
    read(&mut started.events).await;
    let report = started.tree.gone().report().unwrap();
    assert!(report.peak_memory.unwrap() > 80_000_000, "{report:?}");
    assert!(report.cpu_time.unwrap() > Duration::from_millis(20), "{report:?}");
}

#[tokio::test]
async fn what_cannot_be_started_is_said_as_ever() {
    let wardens = Wardens::new(nexus_process::Groups::default());
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = sh("");
    command.program = script.into();
    let error = wardens.start(&launch(command)).await.unwrap_err();
    assert!(matches!(error, SpawnError::Interpreter(_)), "{error:?}");
    let mut command = sh("");
    command.cwd = dir.path().join("none");
    let error = wardens.start(&launch(command)).await.unwrap_err();
    assert!(matches!(error, SpawnError::Directory { .. }), "{error:?}");
    let zero = wardens.start(&launch(sh("echo \0"))).await.unwrap_err();
    assert!(matches!(zero, SpawnError::System { .. }), "{zero:?}");
    assert_eq!(run(&wardens, &launch(sh("echo still there"))).await.0.stdout, ["still there"]);
}

#[tokio::test]
async fn a_warden_does_not_grow_by_what_it_starts() {
    let wardens = Wardens::new(nexus_process::Groups::default());
    let mut launch = launch(sh("").env((0..200).map(|number| (format!("VARIABLE_{number}"), "value"))));
    (launch.limits.memory, launch.limits.open_files) = (Some(1 << 30), Some(100));
    let mut pages = Vec::new();
    for count in [20, 200] {
        let mut warden = 0;
        for _ in 0..count {
            warden = run(&wardens, &launch).await.1;
        }
        let sizes = std::fs::read_to_string(format!("/proc/{warden}/statm")).unwrap();
        // Data and stack, used or not, which are counted exactly.
        pages.push(sizes.split_whitespace().nth(5).unwrap().parse::<u64>().unwrap());
    }
    // A heap grows by 33 at once; the pointers to these variables alone are 80.
    assert!(pages[1] <= pages[0] + 40, "{pages:?}");
}

#[tokio::test]
async fn what_hangs_before_it_is_the_program_is_ended() {
    let wardens = Wardens::new(nexus_process::Groups::default());
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("program");
    std::fs::write(&program, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    // Who executes a file waits until another's lease of it is given back, for 45 seconds.
    let lease = "import fcntl, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = open(sys.argv[1])
try:
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    print('held', flush=True)
    time.sleep(60)
except OSError as error:
    print(error)";
    let mut command = sh("");
    command.program = "python3".into();
    command.args = ["-c", lease].map(Into::into).into_iter().chain([program.clone().into()]).collect();
    let mut holder = start(&wardens, &launch(command)).await;
    let said = line(&mut holder.events).await;
    if said != "held" {
        return eprintln!("skipped: a lease can't be had here: {said}");
    }
    let mut command = sh("");
    (command.program, command.cwd) = (program.into(), dir.path().to_owned());
    let launch = launch(command);
    let hangs = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        processes.filter_map(|entry| entry.path().join("cwd").read_link().ok()).any(|cwd| cwd == dir.path())
    };
    tokio::select! {
        started = wardens.start(&launch) => panic!("it doesn't hang: {started:?}"),
        () = until(hangs) => {}
    }
    until(|| !hangs()).await;
}
