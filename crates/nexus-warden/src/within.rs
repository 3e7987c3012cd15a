//! `within`: runs one program in an overlay, a confinement, or both, for a caller that has no warden.
//!
//! Standard input, output and error, the environment and the exit code are the program's. Everything ends with the caller; this
//! process ends after everything else, and holds the lock of the layers until then.

use std::collections::VecDeque;
use std::ffi::{CString, OsString};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, getppid, pidfd_open};
use serde::{Deserialize, Serialize};

use crate::protocol::{self, Exit, Fault, Overlay, Report, Signal, Stage, Start};
use crate::tree::{Children, KILL_AGAIN, Tree, descriptors, fault, signals};

mod trial;

/// An errand to be done within.
#[derive(Debug, Serialize, Deserialize)]
pub enum Errand {
    /// Run a program, in the caller's session and with its standard input. Its environment is that of `within` itself.
    /// `claim`: a descriptor with a lock, which is held until nothing of the program's tree is left.
    Run { start: Box<Start>, caller: u32, claim: Option<i32> },
    /// Find out whether an overlay can be had: empty directories of the caller, the lower one with a file.
    Try { overlay: Overlay, file: CString },
}

/// The exit code when nothing was started; standard error says why then.
pub const NOT_STARTED: u8 = 125;

/// `within ERRAND`.
#[must_use]
pub fn within(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let errand = args.next().and_then(|word| protocol::of_word(&CString::new(word.into_vec()).ok()?).ok());
    let mut about = String::new();
    let done = match errand {
        Some(Errand::Run { start, caller, claim }) => {
            about = format!("{} in {}", start.program.to_string_lossy(), start.cwd.to_string_lossy());
            run(*start, caller, claim)
        }
        Some(Errand::Try { overlay, file }) => trial::attempt(&overlay, &file).map(|()| Exit::Code(0)),
        None => Err(Fault { stage: Stage::Fork, errno: 0, detail: "there is no errand".to_owned() }),
    };
    match done {
        Ok(Exit::Code(code)) => ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
        Ok(Exit::Signal(signal)) => {
            signals::end_by(signal);
            ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
        }
        Err(failed) => {
            let _ = writeln!(io::stderr(), "{}", sentence(&failed, &about));
            ExitCode::from(NOT_STARTED)
        }
    }
}

/// `about` is the program, and where it was to be started.
fn sentence(failed: &Fault, about: &str) -> String {
    let doing = match failed.stage {
        Stage::Exec | Stage::Directory => format!("start {about}"),
        Stage::Confine => format!("confine {about}"),
        Stage::Fork | Stage::Cgroup | Stage::Limits => "start a process".to_owned(),
        // The detail says it.
        Stage::Overlay => String::new(),
    };
    let system = io::Error::from_raw_os_error(failed.errno);
    match (failed.errno, failed.detail.as_str(), doing.as_str()) {
        (0, detail, "") => format!("nexus: {detail}"),
        (0, detail, doing) => format!("nexus: can't {doing}: {detail}"),
        (_, detail, "") => format!("nexus: can't {detail}: {system}"),
        (_, "", doing) => format!("nexus: can't {doing}: {system}"),
        (_, detail, doing) => format!("nexus: can't {doing} ({detail}): {system}"),
    }
}

fn run(mut start: Start, caller: u32, claim: Option<i32>) -> Result<Exit, Fault> {
    let forked = |error: io::Error| fault(Stage::Fork, &error);
    let _claim = claim.map(descriptors::inherited).transpose().map_err(forked)?;
    let parent = Pid::from_raw(caller.cast_signed()).filter(|caller| getppid() == Some(*caller));
    let parent = parent.ok_or_else(|| forked(io::Error::other("the caller is gone")))?;
    let parent = pidfd_open(parent, PidfdFlags::empty()).map_err(|error| forked(error.into()))?;
    let _ = rustix::thread::set_name(c"nexus-within");
    rustix::thread::set_no_new_privs(true).map_err(|error| forked(error.into()))?;
    // The program decides what becomes of an interrupt: an editor goes on. Whatever else ends the caller, this process is the last.
    signals::ignore_ends();
    start.env = std::env::vars_os().filter_map(variable).collect();
    let children = Children::new().map_err(forked)?;
    let mut stdio = VecDeque::with_capacity(3);
    for stream in [rustix::stdio::stdout(), rustix::stdio::stderr(), rustix::stdio::stdin()] {
        stdio.push_back(kept(stream).map_err(forked)?);
    }
    let mut tree = Tree::start(&start, &mut stdio, None, parent.as_fd())?;
    signals::leave_group();
    let mut caller = Some(parent);
    loop {
        if wait(&tree, &children, caller.as_ref()).map_err(forked)? == Woken::CallerGone {
            caller = None;
            tree.signal(Signal::Kill, None);
        }
        children.clear();
        let mut told = Vec::new();
        tree.look(true, None, &mut told);
        for (report, _) in told {
            match report {
                Report::NotStarted { fault, .. } => return Err(fault),
                Report::LeaderExited { .. } => tree.signal(Signal::Kill, None),
                Report::Gone { end, .. } => return Ok(end.exit),
                Report::Started { .. } | Report::LimitHit { .. } => {}
            }
        }
    }
}

fn kept(stream: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(stream, 3)?)
}

fn variable((name, value): (OsString, OsString)) -> Option<CString> {
    CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok()
}

#[derive(PartialEq, Eq)]
enum Woken {
    CallerGone,
    Other,
}

/// Waits until something has happened. Without a caller not for long: what is left is killed again then.
fn wait(tree: &Tree, children: &Children, caller: Option<&OwnedFd>) -> io::Result<Woken> {
    let mut fds = vec![PollFd::new(children, PollFlags::IN)];
    fds.extend(caller.map(|caller| PollFd::new(caller, PollFlags::IN)));
    fds.extend(tree.fds().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
    let soon = Timespec { tv_sec: 0, tv_nsec: KILL_AGAIN.subsec_nanos().into() };
    match poll(&mut fds, caller.is_none().then_some(&soon)) {
        Ok(_) if caller.is_some() && !fds[1].revents().is_empty() => Ok(Woken::CallerGone),
        Ok(_) | Err(Errno::INTR) => Ok(Woken::Other),
        Err(error) => Err(error.into()),
    }
}
