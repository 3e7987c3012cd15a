//! The meaning of signals to this process, and signals to all of a namespace.

use std::io;

use rustix::process::Pid;

/// Ends this process as a signal would, if that is deadly.
pub(crate) fn end_by(signal: i32) {
    if unblock().is_ok()
        && let Some(signal) = rustix::process::Signal::from_named_raw(signal)
    {
        let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
    }
}

/// Gives signals back their usual meaning.
pub(crate) fn unblock() -> io::Result<()> {
    for signal in ENDS.into_iter().chain([libc::SIGPIPE]) {
        handle(signal, libc::SIG_DFL)?;
    }
    #[expect(unsafe_code, reason = "signal sets have no safe interface")]
    // SAFETY: the set is initialised by `sigemptyset`.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
    Ok(())
}

const ENDS: [i32; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// Is deaf to what ends others, until [`unblock`].
pub(crate) fn ignore_ends() {
    for signal in ENDS {
        let _ = handle(signal, libc::SIG_IGN);
    }
}

/// Leaves the caller's process group, so that what ends that leaves this process to end the tree. In a group of its own it could
/// be stopped for what it writes to the terminal.
pub(crate) fn leave_group() {
    // The leader of a group has one of its own.
    let _ = rustix::process::setpgid(None, None);
    let _ = handle(libc::SIGTTOU, libc::SIG_IGN);
}

fn handle(signal: i32, how: libc::sighandler_t) -> io::Result<()> {
    #[expect(unsafe_code, reason = "dispositions have no safe interface")]
    // SAFETY: no handler is installed, only one of the two fixed meanings.
    let result = unsafe { libc::signal(signal, how) };
    if result == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Signals every process of the namespace whose init this is, but itself.
pub(crate) fn signal_all(signal: rustix::process::Signal) {
    debug_assert_eq!(rustix::process::getpid(), Pid::INIT, "outside a namespace it would signal the machine");
    if rustix::process::getpid() == Pid::INIT {
        #[expect(unsafe_code, reason = "the safe interface has no `all`")]
        // SAFETY: it takes two numbers.
        unsafe {
            libc::kill(-1, signal.as_raw());
        }
    }
}
