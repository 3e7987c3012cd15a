//! The cost of starting and ending a tree, beside the system's own `posix_spawn`, and whether a big company makes that dearer;
//! and the cost of looking at many trees. `cargo bench -p nexus-process`; ratios within one run, as machines are noisy.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement says what it found, or why it could not")]

use std::time::{Duration, Instant};

use nexus_process::{Command, Groups, Launch, Limits, OutputPolicy, Sampler, Wardens, user_environment};

const ROUNDS: usize = 300;

fn launch(program: &str, args: &[&str]) -> Launch {
    let command = Command::new(program, "/").args(args).env(user_environment(&[]));
    Launch {
        command,
        limits: Limits::default(),
        confinement: None,
        overlays: Vec::new(),
        kill_after: None,
        mark: ("BENCH".to_owned(), std::process::id().to_string()),
        output: OutputPolicy::default(),
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// `posix_spawn` and `waitpid`, by the standard library.
fn floor() -> Duration {
    median(
        (0..ROUNDS)
            .map(|_| {
                let begin = Instant::now();
                std::process::Command::new("/bin/true").status().unwrap();
                begin.elapsed()
            })
            .collect(),
    )
}

async fn tree(wardens: &Wardens) -> Duration {
    let launch = launch("/bin/true", &[]);
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let mut started = wardens.start(&launch).await.unwrap();
        while started.events.next().await.is_some() {}
        times.push(begin.elapsed());
    }
    median(times)
}

/// Processor time of this process.
fn used() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

async fn look_at(count: usize) -> f64 {
    let (wardens, sampler) = (Wardens::new(Groups::default()), Sampler::new());
    let mut kept = Vec::new();
    for _ in 0..count {
        let started = wardens.start(&launch("sleep", &["1000"])).await.unwrap();
        kept.push((sampler.watch(started.tree.target().unwrap()), started));
    }
    // The first looks find out what a look costs.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (before, begin) = (used(), Instant::now());
    tokio::time::sleep(Duration::from_secs(20)).await;
    let share = (used() - before).as_secs_f64() / begin.elapsed().as_secs_f64();
    for (_, started) in kept {
        let gone = started.tree.gone();
        drop(started);
        gone.wait().await;
    }
    wardens.close().await;
    share
}

#[tokio::main]
async fn main() {
    let wardens = Wardens::new(Groups::default());
    tree(&wardens).await;
    let compare = async |what: &str| {
        let (floor, tree) = (floor(), tree(&wardens).await);
        println!(
            "{what}: posix_spawn {floor:?}, a tree {tree:?}: {:.2} of the floor",
            tree.as_secs_f64() / floor.as_secs_f64()
        );
    };
    compare("small parent").await;
    let ballast = vec![1u8; 1 << 30];
    compare("parent of 1 GiB").await;
    assert!(std::hint::black_box(&ballast).len() == 1 << 30);
    drop(ballast);
    wardens.close().await;
    println!("looking at 100 trees: {:.2} % of a processor", 100.0 * look_at(100).await);
}
