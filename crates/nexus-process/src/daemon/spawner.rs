//! The thread all daemons are started from. The kernel ties a parent-death signal to the *thread* that forked: a child
//! of one of the runtime's pool threads would be killed as soon as that idle thread goes.

use std::io;
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::turns::wait_for_turns;

struct Job {
    command: Command,
    runtime: Handle,
    started: oneshot::Sender<io::Result<Child>>,
}

/// A process starts a handful of daemons in its life, one after another; more than this at once would be a mistake.
const JOBS: usize = 16;

static SPAWNER: OnceLock<SyncSender<Job>> = OnceLock::new();

/// Starts `command` in its own process group; on Linux it is killed when this process dies.
pub(super) async fn spawn(mut command: Command) -> io::Result<Child> {
    isolate(&mut command);
    let (started, answer) = oneshot::channel();
    let job = Job { command, runtime: Handle::current(), started };
    spawner()?.try_send(job).map_err(|_| io::Error::other("too many daemons are being started at once"))?;
    answer.await.map_err(|_| io::Error::other("the thread that starts daemons has ended"))?
}

fn spawner() -> io::Result<&'static SyncSender<Job>> {
    if let Some(jobs) = SPAWNER.get() {
        return Ok(jobs);
    }
    let (jobs, queue) = sync_channel::<Job>(JOBS);
    // When two callers get here at once, one thread loses its sender and ends.
    thread::Builder::new().name("nexus-daemons".to_owned()).spawn(move || {
        wait_for_turns();
        for Job { mut command, runtime, started } in queue {
            let entered = runtime.enter();
            // Nobody may be waiting any more; then the child is dropped, and killed with it.
            let _ = started.send(command.spawn());
            drop(entered);
        }
    })?;
    Ok(SPAWNER.get_or_init(|| jobs))
}

#[cfg(unix)]
fn isolate(command: &mut Command) {
    command.process_group(0);
    die_with_this_process(command);
}

#[cfg(windows)]
fn isolate(command: &mut Command) {
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
    command.creation_flags(CREATE_NEW_PROCESS_GROUP);
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "only the child itself can ask for its parent-death signal, between fork and exec")]
fn die_with_this_process(command: &mut Command) {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};

    let parent = std::process::id();
    let ask = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have died before the signal was asked for: then nobody will send it.
        let orphaned = getppid().is_none_or(|pid| pid.as_raw_nonzero().get().cast_unsigned() != parent);
        if orphaned { Err(io::ErrorKind::NotConnected.into()) } else { Ok(()) }
    };
    // SAFETY: the closure runs in the forked child, where only async-signal-safe calls are allowed: it makes two plain
    // system calls, allocates nothing and takes no lock.
    unsafe { command.pre_exec(ask) };
}

#[cfg(all(unix, not(target_os = "linux")))]
fn die_with_this_process(_: &mut Command) {}
