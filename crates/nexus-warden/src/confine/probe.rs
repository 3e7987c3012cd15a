//! What of confinement this machine offers, found out by trying it.

use std::ffi::{CString, OsStr, OsString};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use serde::{Deserialize, Serialize};

use super::bwrap::{namespaces, own_program};
use super::spaces::{NEWIPC, NEWNET, NEWNS, NEWPID, NEWUSER, Spaces};
use crate::tree::fork;

/// What can be had, and why not what can't.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Available {
    /// Namespaces by bwrap: its path.
    pub namespaces: Result<CString, String>,
    /// Landlock: the version of its interface.
    pub landlock: Result<u32, String>,
    /// Namespaces that a warden can make by itself.
    pub clone_flags: u64,
}

impl Available {
    /// Where nothing could be found out.
    #[must_use]
    pub fn nothing(why: &str) -> Self {
        Self { namespaces: Err(why.to_owned()), landlock: Err(why.to_owned()), clone_flags: 0 }
    }
}

/// Tries, as a program of its own: what is tried is done to the process that tries it. Prints what it has found, in postcard.
/// The argument is where bwrap is looked for, as a `PATH`; without one there is nothing to do: that it was started was the
/// trial.
#[must_use]
pub fn look(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(path) = args.next() else { return ExitCode::SUCCESS };
    let available = Available { namespaces: by_bwrap(&path), landlock: landlock(), clone_flags: clone_flags() };
    let said = postcard::to_extend(&available, Vec::new()).ok().map(|bytes| std::io::stdout().write_all(&bytes));
    if matches!(said, Some(Ok(()))) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// With what an attempt would be started with: also that the init can be, through a descriptor.
fn by_bwrap(path: &OsStr) -> Result<CString, String> {
    let bwrap = find(path).ok_or("bwrap is not installed (package bubblewrap)")?;
    let program = own_program().map_err(|error| error.to_string())?;
    let _ = rustix::io::fcntl_setfd(&program, rustix::io::FdFlags::empty());
    let mut command = Command::new(&bwrap);
    command.args(namespaces(true).into_iter().map(|arg| arg.to_string_lossy().into_owned()));
    command.args(["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--"]);
    command.args([&format!("/proc/self/fd/{}", program.as_raw_fd()), "look"]);
    let output = command.env_clear().stdin(Stdio::null()).output().map_err(|error| format!("bwrap: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
        return Err(format!("{} can't make namespaces here ({said}){}", bwrap.display(), hint()));
    }
    CString::new(bwrap.into_os_string().into_vec()).map_err(|error| error.to_string())
}

/// What is known to forbid an ordinary user's namespaces, and how to allow them.
fn hint() -> &'static str {
    let says = |file: &str, value: &str| std::fs::read_to_string(file).is_ok_and(|text| text.trim() == value);
    if says("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "; allow them by `sysctl kernel.unprivileged_userns_clone=1`"
    } else if says("/proc/sys/user/max_user_namespaces", "0") {
        "; allow them by `sysctl user.max_user_namespaces=15000`"
    } else if says("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        "; AppArmor forbids them: install its profile for bwrap"
    } else if ["/.dockerenv", "/run/.containerenv"].iter().any(|file| Path::new(file).exists()) {
        "; a container has them only when it was started to"
    } else {
        ""
    }
}

fn find(path: &OsStr) -> Option<PathBuf> {
    let mut candidates = std::env::split_paths(path).filter(|dir| dir.is_absolute()).map(|dir| dir.join("bwrap"));
    candidates
        .find(|candidate| candidate.is_file() && rustix::fs::access(candidate, rustix::fs::Access::EXEC_OK).is_ok())
}

fn landlock() -> Result<u32, String> {
    // landlock_create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION)
    #[expect(unsafe_code, reason = "the crate tells the version only to whom it has restricted")]
    // SAFETY: it only reads its three numbers.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0usize, 1u32) };
    match u32::try_from(version) {
        Ok(version) if version > 0 => Ok(version),
        _ => Err("this kernel has no Landlock, or it is not among its `lsm`".to_owned()),
    }
}

/// From the most to the least. Without one of PIDs there is no init, and the others are of little use.
const WISHES: [u64; 3] = [NEWPID | NEWIPC | NEWNET | NEWNS, NEWPID | NEWIPC | NEWNET, NEWPID | NEWIPC];

fn clone_flags() -> u64 {
    // Root needs none of users, if it is really root: in a container it may not be.
    let users: &[u64] = if rustix::process::geteuid().is_root() { &[0, NEWUSER] } else { &[NEWUSER] };
    let mut wishes = users.iter().flat_map(|user| WISHES.map(|wish| wish | user));
    wishes.find(|flags| is_granted(*flags)).unwrap_or(0)
}

fn is_granted(flags: u64) -> bool {
    let spaces = Spaces::of_this_user(flags);
    match fork::clone(flags, None) {
        Ok(None) => {
            let settled = spaces.settle_user().and_then(|()| spaces.settle(&[c"/tmp".to_owned()]));
            let connected = if flags & NEWNET == 0 { Ok(()) } else { fork::loopback_up() };
            fork::exit(i32::from(settled.and(connected).is_err()))
        }
        Ok(Some(child)) => {
            let ended = rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty());
            matches!(ended, Ok(Some((_, status))) if status.exit_status() == Some(0))
        }
        Err(_) => false,
    }
}
