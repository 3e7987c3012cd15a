//! Descriptors across an `exec`: what is inherited, kept and closed.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

/// A descriptor that whoever started this program has left open for it. No program that this one becomes or starts has it.
pub(crate) fn inherited(number: i32) -> io::Result<OwnedFd> {
    #[expect(unsafe_code, reason = "descriptors that were inherited are known by number")]
    // SAFETY: it was opened for this use, and nothing else here has it.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
    Ok(fd)
}

/// Has everything from the fourth descriptor on closed by the next `exec`.
pub(crate) fn close_others() -> io::Result<()> {
    const CLOEXEC: u32 = 4;
    #[expect(unsafe_code, reason = "close_range has no safe interface")]
    // SAFETY: nothing is closed now, and what is marked is not used after the `exec`.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, CLOEXEC) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Closes everything from the fourth descriptor on but `kept`, whoever thinks to own it: for a process that never returns.
pub(crate) fn close_all_but(kept: BorrowedFd<'_>) {
    let kept = kept.as_raw_fd().unsigned_abs();
    for (first, last) in [(3, kept.saturating_sub(1)), (kept.saturating_add(1), u32::MAX)] {
        if first <= last {
            #[expect(unsafe_code, reason = "close_range has no safe interface")]
            // SAFETY: the caller ends without dropping what it had open before.
            unsafe {
                libc::syscall(libc::SYS_close_range, first, last, 0u32);
            }
        }
    }
}

/// Puts standard input, output and error where programs look for them; no input is an empty one.
pub(crate) fn redirect(stdio: [Option<BorrowedFd<'_>>; 3]) -> io::Result<()> {
    let [stdin, stdout, stderr] = stdio;
    match stdin {
        Some(stdin) => rustix::stdio::dup2_stdin(stdin)?,
        None => {
            let null = rustix::fs::open(c"/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
            rustix::stdio::dup2_stdin(null)?;
        }
    }
    if let Some(stdout) = stdout {
        rustix::stdio::dup2_stdout(stdout)?;
    }
    if let Some(stderr) = stderr {
        rustix::stdio::dup2_stderr(stderr)?;
    }
    Ok(())
}
