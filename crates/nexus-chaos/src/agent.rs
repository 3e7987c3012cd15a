//! The agent of a run: leaves its marks, holds its task's lock with all its processes, and does as its plan says.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nexus_core::id::{DepartmentName, NodeId, TaskId};
use rustix::fs::{FlockOperation, flock};

use crate::mark::{Kind, Mark, Marks, Moment};
use crate::processes::began;
use crate::site::Site;
use crate::work::{CLONES, FAILED, Plan};

/// Set once INT and TERM are ignored.
const DEAF: &str = "CHAOS_DEAF";

/// Does one attempt; returns its exit code.
pub(crate) fn work(root: PathBuf, plan: &str) -> io::Result<i32> {
    let plan: Plan = serde_json::from_str(plan)?;
    if plan.stubborn && std::env::var_os(DEAF).is_none() {
        return Err(deaf());
    }
    let site = Site::existing(root);
    let task: TaskId = variable("NEXUS_TASK_ID")?;
    let mark = Mark {
        kind: Kind::Start,
        task,
        attempt: variable("NEXUS_ATTEMPT")?,
        department: variable::<DepartmentName>("NEXUS_DEPARTMENT")?,
        node: variable::<NodeId>("NEXUS_NODE")?,
        pid: std::process::id(),
        began: began(std::process::id()).unwrap_or_default(),
        at: Moment::now(),
        commit: None,
    };
    let mut marks = Marks::open(&site.marks())?;
    let lock = OpenOptions::new().create(true).append(true).open(site.lock(task))?;
    // Held until the last process that has it ends, by the kernel.
    if let Err(error) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(error.into());
        }
        marks.append(&Mark { kind: Kind::Overlap, at: Moment::now(), ..mark.clone() })?;
    }
    marks.append(&Mark { at: Moment::now(), ..mark.clone() })?;
    let children = (0..plan.children).map(|_| child(&lock, plan.work_ms + plan.linger_ms));
    let mut children = children.collect::<io::Result<Vec<_>>>()?;
    let is_clone = mark.department.as_str() == CLONES;
    if is_clone {
        commit(mark.attempt, "begun")?;
    }
    let mut stdout = io::stdout().lock();
    for line in 0..plan.lines {
        // Nobody reads it any more when its company is gone.
        let _ = writeln!(stdout, "line {line} of {} by attempt {}", plan.lines, mark.attempt);
    }
    pause(plan.work_ms);
    if plan.linger_ms == 0 {
        children.iter_mut().try_for_each(|child| child.wait().map(drop))?;
    }
    let failed = if plan.broken { !site.mended(plan.n).exists() } else { plan.fails(mark.attempt) };
    let code = if failed { FAILED } else { 0 };
    let commit = if is_clone { Some(commit(mark.attempt, "done")?) } else { None };
    marks.append(&Mark { kind: Kind::End(code), at: Moment::now(), commit, ..mark })?;
    Ok(code)
}

/// The longest wait for room on a full disk.
const PATIENCE: Duration = Duration::from_secs(60);
/// A disk with less room than this, in bytes, is full.
const FULL: u64 = 1 << 20;

/// Commits a file, and leaves another one; returns the commit. What it can't write on a full disk is no failure of its own: it
/// waits for room.
fn commit(attempt: u32, what: &str) -> io::Result<String> {
    let began = Instant::now();
    let mut tried = false;
    loop {
        match try_commit(attempt, what) {
            // Room may have come since it failed.
            Err(_) if (is_full() || !tried) && began.elapsed() < PATIENCE => pause(50),
            done => return done,
        }
        tried = true;
    }
}

fn is_full() -> bool {
    rustix::fs::statvfs(".").is_ok_and(|disk| disk.f_bavail * disk.f_frsize < FULL)
}

fn try_commit(attempt: u32, what: &str) -> io::Result<String> {
    // From a git that was killed.
    let _ = std::fs::remove_file(".git/index.lock");
    let _ = std::fs::remove_file(".git/HEAD.lock");
    std::fs::write(format!("committed-{attempt}-{what}"), what)?;
    git(&["add", "--all"])?;
    git(&["commit", "--quiet", "--allow-empty", "--message", what])?;
    std::fs::write("left", format!("{attempt} {what}"))?;
    git(&["rev-parse", "HEAD"])
}

fn git(args: &[&str]) -> io::Result<String> {
    let output = command("git").args(args).stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[expect(clippy::disallowed_methods, reason = "an agent is a program of its own, without a runtime")]
fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

/// A process that holds the lock too: it inherits it as its standard input.
fn child(lock: &File, millis: u64) -> io::Result<Child> {
    let mut command = command("sleep");
    let secs = Duration::from_millis(millis).as_secs_f64().to_string();
    command.arg(secs).stdin(lock.try_clone()?).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// Starts this program anew with INT and TERM ignored: what a shell ignores, its successor does.
fn deaf() -> io::Error {
    let mut shell = command("sh");
    let own = match std::env::current_exe() {
        Ok(own) => own,
        Err(error) => return error,
    };
    shell.args(["-c", "trap '' INT TERM; exec \"$@\"", "sh"]).arg(own).args(std::env::args_os().skip(1));
    shell.env(DEAF, "1").exec()
}

#[expect(clippy::disallowed_types, reason = "an agent starts what it likes, as agents do")]
fn command(name: &str) -> std::process::Command {
    std::process::Command::new(name)
}

fn variable<T: std::str::FromStr>(name: &str) -> io::Result<T> {
    let value = std::env::var(name).ok().and_then(|value| value.parse().ok());
    value.ok_or_else(|| io::Error::other(format!("{name} is not set as for an agent")))
}
