//! Forking a child and waiting for it: what has no safe interface.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Resource, Rlimit};

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use super::vfork;
use super::{Reaped, confess, fault};
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

/// How a start went.
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
    if let Err(error) = unblock() {
        return fault(Stage::Fork, &error);
    }
    if let Err(error) = limit(limits) {
        return fault(Stage::Limits, &error);
    }
    if let Some(plan) = plan {
        return plan.enter(stdio);
    }
    if let Err(error) = redirect(stdio) {
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

/// Brings up the loopback device of a new network, which is down at first.
pub(crate) fn loopback_up() -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    #[expect(unsafe_code, reason = "network devices have no safe interface")]
    // SAFETY: the structure is plain bytes, for which zero is a value, and outlives both calls.
    let result = unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[..2].copy_from_slice(&[0x6c, 0x6f]);
        let read = libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request);
        let up = libc::c_short::try_from(libc::IFF_UP).unwrap_or_default();
        if read == 0 && request.ifr_ifru.ifru_flags & up != 0 {
            return Ok(());
        }
        request.ifr_ifru.ifru_flags |= up;
        libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Limits that hold for each process.
fn limit(limits: &Limits) -> io::Result<()> {
    let set = |resource, value: Option<u64>| -> io::Result<()> {
        let Some(value) = value else { return Ok(()) };
        let hard = rustix::process::getrlimit(resource).maximum;
        let value = Some(hard.map_or(value, |hard| hard.min(value)));
        Ok(rustix::process::setrlimit(resource, Rlimit { current: value, maximum: value })?)
    };
    if limits.memory.is_some() {
        // Among those that use it up together with the warden, the warden is the last to be ended.
        let _ = std::fs::write("/proc/self/oom_score_adj", "500");
    }
    if let Some(milli) = limits.cpu_milli {
        keep_to(milli.div_ceil(1000))?;
    }
    set(Resource::Nofile, limits.open_files)?;
    set(Resource::Fsize, limits.file_size)
}

/// Keeps to so many of the processors that there are.
fn keep_to(count: u32) -> io::Result<()> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let all = sched_getaffinity(None)?;
    let mut few = CpuSet::new();
    (0..CpuSet::MAX_CPU)
        .filter(|cpu| all.is_set(*cpu))
        .take(usize::try_from(count).unwrap_or(usize::MAX))
        .for_each(|cpu| few.set(cpu));
    Ok(sched_setaffinity(None, &few)?)
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
