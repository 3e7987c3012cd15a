//! Forking a child, becoming a program and waiting: what has no safe interface.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::process::Pid;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use super::vfork;
use super::{Reaped, confess, descriptors, fault, limits, signals};
use crate::confine::{Control, Plan};
use crate::protocol::{Exit, Fault, Limits, Stage, Start};

/// Tells when a child may have ended.
pub(crate) struct Children(OwnedFd);

impl AsFd for Children {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Children {
    /// Makes this process the reaper of all its descendants, and SIGCHLD readable.
    pub(crate) fn new() -> io::Result<Self> {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        #[expect(unsafe_code, reason = "signal sets have no safe interface")]
        // SAFETY: the set is initialised by `sigemptyset` before it is read, and the descriptor is new and ours.
        let fd = unsafe {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGCHLD);
            libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Self(fd))
    }

    /// Forgets signals that have come.
    pub(crate) fn clear(&self) {
        let mut buffer = [0u8; 1024];
        while rustix::io::read(&self.0, &mut buffer).is_ok_and(|read| read == buffer.len()) {}
    }
}

/// The outcome of a start.
pub(super) enum Outcome {
    /// It is over; none: the child has become the program.
    Known(Option<Fault>),
    /// Its faults come by this pipe, which is closed when it has become the program (or its init).
    Pipe(File),
}

/// Makes the child. `runtime` is the way to whoever has asked for it.
pub(super) fn fork(
    start: &Start,
    limits: &Limits,
    plan: Option<Plan>,
    stdio: [Option<BorrowedFd<'_>>; 3],
    nest: Option<BorrowedFd<'_>>,
    runtime: BorrowedFd<'_>,
) -> Result<(Pid, Outcome, Option<Control>), Fault> {
    let image = Image::new(&start.program, &start.argv, &start.env);
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    if plan.is_none() {
        let mut failed = None;
        let child = vfork::vfork(
            &mut || failed = Some(become_program(start, &image, limits, None, stdio, Some(runtime))),
            nest,
        )
        .map_err(|error| fault(Stage::Fork, &error))?;
        return Ok((child, Outcome::Known(failed), None));
    }
    let (read, write) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|error| fault(Stage::Fork, &error.into()))?;
    let flags = plan.as_ref().map_or(0, Plan::clone_flags);
    let fork = clone(flags, nest).map_err(|error| fault(Stage::Fork, &error))?;
    let Some(child) = fork else {
        drop(read);
        let mut pipe = File::from(write);
        let fault = become_program(start, &image, limits, plan, stdio, None);
        confess(&mut pipe, &fault);
        exit(127)
    };
    drop(write);
    rustix::fs::fcntl_setfl(&read, OFlags::NONBLOCK).map_err(|error| fault(Stage::Fork, &error.into()))?;
    Ok((child, Outcome::Pipe(File::from(read)), plan.and_then(Plan::into_control)))
}

pub(super) fn clone_args(flags: u64, nest: Option<BorrowedFd<'_>>) -> libc::clone_args {
    let into_cgroup = u64::from(nest.is_some()) * CLONE_INTO_CGROUP;
    #[expect(unsafe_code, reason = "the structure has no other value to begin with")]
    // SAFETY: it is plain numbers, for which zero is a value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags | into_cgroup;
    args.exit_signal = u64::try_from(libc::SIGCHLD).unwrap_or_default();
    args.cgroup = nest.map_or(0, |fd| u64::try_from(fd.as_raw_fd()).unwrap_or_default());
    args
}

/// Forks; none: this is the child.
pub(crate) fn clone(flags: u64, nest: Option<BorrowedFd<'_>>) -> io::Result<Option<Pid>> {
    let args = clone_args(flags, nest);
    #[expect(unsafe_code, reason = "there is no safe fork")]
    // SAFETY: this process has one thread, and no memory is shared with the child: it goes on with a copy of everything.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) };
    match result {
        0 => Ok(None),
        pid if pid > 0 => Ok(i32::try_from(pid).ok().and_then(Pid::from_raw)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes a child that is to become a program, and is over when `become_it` returns. It may share this process's memory, which stands
/// still meanwhile: what it allocates then is lost.
pub(crate) fn child(become_it: &mut dyn FnMut()) -> io::Result<Pid> {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    return vfork::vfork(become_it, None);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    match clone(0, None)? {
        Some(child) => Ok(child),
        None => {
            become_it();
            exit(127)
        }
    }
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Returns only what went wrong. Without a plan nothing is allocated but for that: see `vfork`.
fn become_program(
    start: &Start,
    image: &Image<'_>,
    limits: &Limits,
    plan: Option<Plan>,
    stdio: [Option<BorrowedFd<'_>>; 3],
    runtime: Option<BorrowedFd<'_>>,
) -> Fault {
    // A group of its own, and no terminal: what is typed into the company's, or shown there, is not the agent's.
    let separated = match start.own_session {
        true => rustix::process::setsid().map(drop),
        false => rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)),
    };
    if let Err(error) = separated {
        return fault(Stage::Fork, &error.into());
    }
    if let Err(error) = signals::unblock() {
        return fault(Stage::Fork, &error);
    }
    let has_own_users = plan.as_ref().is_some_and(Plan::has_own_users);
    if let Err(error) = limits::limit(limits, has_own_users) {
        return fault(Stage::Limits, &error);
    }
    if let Some(plan) = plan {
        return plan.enter(stdio);
    }
    if let Err(error) = descriptors::redirect(stdio) {
        return fault(Stage::Fork, &error);
    }
    if let Err(error) = rustix::process::chdir(start.cwd.as_c_str()) {
        return fault(Stage::Directory, &error.into());
    }
    // The warden, which would see it, stands still: and the directory may have kept both waiting for long.
    if runtime.is_some_and(has_hung_up) {
        exit(127);
    }
    fault(Stage::Exec, &image.execute())
}

fn has_hung_up(socket: BorrowedFd<'_>) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::from_borrowed_fd(socket, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().contains(PollFlags::HUP)
}

/// Ends a forked child, without the exit handlers of its parent.
pub(crate) fn exit(code: i32) -> ! {
    #[expect(unsafe_code, reason = "a forked child must not run its parent's exit handlers")]
    // SAFETY: it only ends this process.
    unsafe {
        libc::_exit(code)
    }
}

/// A program, its arguments and its environment, as the kernel takes them.
pub(crate) struct Image<'a> {
    program: &'a CStr,
    argv: Vec<*const libc::c_char>,
    env: Vec<*const libc::c_char>,
}

impl<'a> Image<'a> {
    pub(crate) fn new(program: &'a CStr, argv: &'a [CString], env: &'a [CString]) -> Self {
        let pointers = |strings: &[CString]| {
            strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>()
        };
        Self { program, argv: pointers(argv), env: pointers(env) }
    }

    /// Becomes the program; returns why not.
    pub(crate) fn execute(&self) -> io::Error {
        #[expect(unsafe_code, reason = "there is no safe execve")]
        // SAFETY: both arrays end with a null, and all that they point to is borrowed for as long as this lives.
        unsafe {
            libc::execve(self.program.as_ptr(), self.argv.as_ptr(), self.env.as_ptr());
        }
        io::Error::last_os_error()
    }
}

/// Reaps one child that has ended, if any has. An error: there is none.
pub(crate) fn wait() -> io::Result<Option<Reaped>> {
    let mut status = 0;
    #[expect(unsafe_code, reason = "wait4 tells what a child has used, and has no safe interface")]
    // SAFETY: both places are ours, and the structure is plain numbers, for which zero is a value.
    let (pid, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::wait4(-1, &raw mut status, libc::WNOHANG, &raw mut usage), usage)
    };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    let Some(pid) = Pid::from_raw(pid) else { return Ok(None) };
    let exit = if libc::WIFSIGNALED(status) {
        Exit::Signal(libc::WTERMSIG(status))
    } else {
        Exit::Code(libc::WEXITSTATUS(status))
    };
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_micros(time.tv_usec.unsigned_abs())
    };
    // Kibibytes on Linux.
    let max_rss = usage.ru_maxrss.unsigned_abs().saturating_mul(1024);
    Ok(Some(Reaped { pid, exit, max_rss, cpu: time(usage.ru_utime) + time(usage.ru_stime) }))
}
