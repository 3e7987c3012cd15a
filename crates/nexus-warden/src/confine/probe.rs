//! The ways of confinement that this machine offers, found out by trying them.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use serde::{Deserialize, Serialize};

use super::bwrap::{namespaces, own_program};
use super::spaces::{NEWCGROUP, NEWIPC, NEWNET, NEWNS, NEWPID, NEWUSER, NEWUTS, Spaces};
use super::{loopback, view};
use crate::protocol::{Bind, Confinement, Fault, Maker, Network, Stage, Tier};
use crate::tree::{fault, fork};

/// The ways that can be had, and why not those that can't.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Available {
    /// Namespaces that the warden makes by itself, with all that an agent sees in them.
    pub own: Result<Maker, String>,
    /// Namespaces by bwrap. It is tried only where it is needed.
    pub bwrap: Result<Maker, String>,
    /// Landlock: the version of its interface.
    pub landlock: Result<u32, String>,
    /// Namespaces that a warden can add to Landlock.
    pub clone_flags: u64,
}

impl Available {
    /// Where nothing could be found out.
    #[must_use]
    pub fn nothing(why: &str) -> Self {
        Self { own: Err(why.to_owned()), bwrap: Err(why.to_owned()), landlock: Err(why.to_owned()), clone_flags: 0 }
    }

    /// The best maker of namespaces.
    ///
    /// # Errors
    /// Why there is none.
    pub fn namespaces(&self) -> Result<&Maker, String> {
        self.own.as_ref().or_else(|own| {
            self.bwrap.as_ref().map_err(|bwrap| {
                let tried = [own, bwrap].into_iter().filter(|why| *why != NOT_ASKED);
                let mut whys: Vec<&str> = tried.map(String::as_str).collect();
                whys.dedup();
                if whys.is_empty() { NOT_ASKED.to_owned() } else { whys.join("; ") }
            })
        })
    }
}

/// Stands for a way that was not tried.
const NOT_ASKED: &str = "it was not asked for";

/// The ways to confine that are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// The best one, and those after it only where it can't be had.
    Best,
    All,
    /// Namespaces by bwrap at best.
    Bwrap,
    /// Landlock at best.
    Landlock,
}

impl Ways {
    /// The word that a warden's program is told.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::All => "all",
            Self::Bwrap => "bwrap",
            Self::Landlock => "landlock",
        }
    }

    /// The ways of a word that chooses less than the best one.
    #[must_use]
    pub fn weaker(word: &OsStr) -> Option<Self> {
        Self::of(word).filter(|ways| matches!(ways, Self::Bwrap | Self::Landlock))
    }

    /// The ways of a word.
    #[must_use]
    pub fn of(word: &OsStr) -> Option<Self> {
        [Self::Best, Self::All, Self::Bwrap, Self::Landlock].into_iter().find(|ways| word == ways.as_str())
    }
}

/// Tries, as a program of its own: what is tried is done to the process that tries it. Prints what it has found, in postcard.
/// The arguments are where bwrap is looked for, as a `PATH`, and the ways to look at; without them there is nothing to do: that it
/// was started was the trial.
#[must_use]
pub fn look(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(path) = args.next() else { return ExitCode::SUCCESS };
    let ways = args.next().and_then(|word| Ways::of(&word)).unwrap_or(Ways::Best);
    let not_asked = || Err(NOT_ASKED.to_owned());
    let own = if matches!(ways, Ways::Best | Ways::All) { own() } else { not_asked() };
    let mut bwrap = match ways {
        Ways::Best if own.is_ok() => not_asked(),
        Ways::Landlock => not_asked(),
        _ => by_bwrap(&path),
    };
    let mut own = own;
    // Said once, by the last that was tried.
    for tried in [&mut bwrap, &mut own] {
        if let Err(why) = tried
            && why != NOT_ASKED
        {
            why.push_str(hint());
            break;
        }
    }
    let available = Available { own, bwrap, landlock: landlock(), clone_flags: clone_flags() };
    let said = postcard::to_extend(&available, Vec::new()).ok().map(|bytes| std::io::stdout().write_all(&bytes));
    if matches!(said, Some(Ok(()))) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// All namespaces there are; then those without which there is no view.
const OWN: [u64; 2] = [OWN_LEAST | NEWUTS | NEWCGROUP, OWN_LEAST];
const OWN_LEAST: u64 = NEWPID | NEWIPC | NEWNET | NEWNS;

/// Tries to make a view of what every system has.
fn own() -> Result<Maker, String> {
    let same = |path: &CStr| Bind { source: path.to_owned(), target: path.to_owned(), exact: false };
    let confinement = Confinement {
        tier: Tier::Landlock { clone_flags: 0 },
        read: [c"/usr", c"/sys"].map(same).into(),
        write: vec![same(c"/tmp")],
        protected: Vec::new(),
        hidden: Vec::new(),
        network: Network::None,
    };
    let mut why = "this user can't make namespaces".to_owned();
    for flags in users().iter().flat_map(|user| OWN.map(|wish| wish | user)) {
        match attempt(flags, || view::enter(&confinement)) {
            Ok(()) => return Ok(Maker::Warden { clone_flags: flags }),
            Err(error) => why = error,
        }
    }
    Err(why)
}

/// With what an attempt would be started with: also that the init can be, through a descriptor.
fn by_bwrap(path: &OsStr) -> Result<Maker, String> {
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
        return Err(format!("{} can't make namespaces here ({said})", bwrap.display()));
    }
    let path = CString::new(bwrap.into_os_string().into_vec()).map_err(|error| error.to_string())?;
    Ok(Maker::Bwrap { path })
}

/// A hint at what is known to forbid an ordinary user's namespaces, and at how to allow them.
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
    let mut wishes = users().iter().flat_map(|user| WISHES.map(|wish| wish | user));
    let settle = |flags| move || Spaces::of_this_user(flags).settle(&[c"/tmp".to_owned()], &[]);
    let confine = |error| fault(Stage::Confine, &error);
    wishes.find(|flags| attempt(*flags, || settle(*flags)().map_err(confine)).is_ok()).unwrap_or(0)
}

/// Root needs no namespace of users, if it is really root: in a container it may not be.
fn users() -> &'static [u64] {
    if rustix::process::geteuid().is_root() { &[0, NEWUSER] } else { &[NEWUSER] }
}

/// Tries something in a child with these namespaces.
fn attempt(flags: u64, settle: impl FnOnce() -> Result<(), Fault>) -> Result<(), String> {
    let spaces = Spaces::of_this_user(flags);
    let (read, write) = rustix::pipe::pipe().map_err(|error| error.to_string())?;
    let child = fork::clone(flags, None).map_err(|error| format!("the warden can't make namespaces: {error}"))?;
    let Some(child) = child else {
        let confine = |error| fault(Stage::Confine, &error);
        let begun = spaces.begin().map_err(confine).and_then(|()| settle());
        let settled = begun.and_then(|()| match flags & NEWNET {
            0 => Ok(()),
            _ => loopback::bring_up().map_err(confine),
        });
        if let Err(failed) = &settled {
            let system = std::io::Error::from_raw_os_error(failed.errno);
            let words = if failed.errno == 0 { failed.detail.clone() } else { format!("{}: {system}", failed.detail) };
            let _ = std::fs::File::from(write).write_all(words.as_bytes());
        }
        fork::exit(i32::from(settled.is_err()))
    };
    drop(write);
    let mut said = String::new();
    let _ = std::fs::File::from(read).read_to_string(&mut said);
    match rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty()) {
        Ok(Some((_, status))) if status.exit_status() == Some(0) => Ok(()),
        _ => Err(format!("the warden can't make namespaces: {said}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_that_was_tried_says_why_it_cant_be_had() {
        let why = |own: &str, bwrap: &str| {
            let available =
                Available { own: Err(own.to_owned()), bwrap: Err(bwrap.to_owned()), ..Available::nothing("unknown") };
            available.namespaces().unwrap_err()
        };
        assert_eq!(why("EPERM", "no bwrap"), "EPERM; no bwrap");
        assert_eq!(why(NOT_ASKED, "no bwrap"), "no bwrap");
        assert_eq!(why("no warden", "no warden"), "no warden");
        assert_eq!(why(NOT_ASKED, NOT_ASKED), NOT_ASKED);
    }

    #[test]
    fn only_a_weaker_way_can_be_chosen() {
        let words = ["bwrap", "landlock", "best", "all", "bubblewrap", ""];
        let ways = words.map(|word| Ways::weaker(OsStr::new(word)));
        assert_eq!(ways, [Some(Ways::Bwrap), Some(Ways::Landlock), None, None, None, None]);
    }
}
