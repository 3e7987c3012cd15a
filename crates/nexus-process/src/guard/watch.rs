//! The guard's own side: waits for a word, for its time to run out, or for the end of the lifeline.

use std::io::{self, Write as _};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use crate::marked::end_marked;

/// The longest time that one pass at ending the agents may take before the guard looks at its lifeline again.
const PASS: Duration = Duration::from_secs(10);

/// Guards the processes that were started with `name=value` in their environment, until the lifeline, which is standard
/// input, is closed; then ends them all and returns. Each line is a word of the company: how many milliseconds it may be
/// silent from now on before they are ended, or `-` for ever. It is answered when nothing is being ended.
///
/// # Errors
/// When the system refuses what the guard needs; the caller should end.
pub fn watch(name: &str, value: &str) -> io::Result<()> {
    // It goes on while the machine sleeps, as the lease does elsewhere.
    let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
    let (stdin, mut stdout) = (io::stdin(), io::stdout());
    let mut words = Vec::new();
    loop {
        let (spoken, late) = {
            let mut fds = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(&timer, PollFlags::IN)];
            match poll(&mut fds, None) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            (!fds[0].revents().is_empty(), !fds[1].revents().is_empty())
        };
        if late {
            set(&timer, None)?;
            end(name, value)?;
        }
        if !spoken {
            continue;
        }
        let mut piece = [0; 64];
        // Past the buffer of `Stdin`, which would hide words from the poll.
        let read = rustix::io::read(&stdin, &mut piece)?;
        if read == 0 {
            return end(name, value);
        }
        words.extend_from_slice(&piece[..read]);
        while let Some(line) = words.iter().position(|byte| *byte == b'\n') {
            let word = String::from_utf8_lossy(&words[..line]).into_owned();
            words.drain(..=line);
            set(&timer, word.parse().ok().map(Duration::from_millis))?;
            stdout.write_all(b"held\n")?;
            stdout.flush()?;
        }
    }
}

fn set(timer: &impl std::os::fd::AsFd, within: Option<Duration>) -> io::Result<()> {
    let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
    // A timer that is set to nothing is off.
    let within = within.map_or(zero, |within| {
        let within = within.max(Duration::from_millis(1));
        Timespec { tv_sec: within.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: within.subsec_nanos().into() }
    });
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: zero, it_value: within })?;
    Ok(())
}

fn end(name: &str, value: &str) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    // What the kernel doesn't end within a pass it won't end for being asked again; the next start says so.
    runtime.block_on(end_marked(name, value, PASS));
    Ok(())
}
