//! What bwrap is told: which files an agent sees, and where.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{MemfdFlags, Mode, OFlags, memfd_create};

use super::{Inside, words};
use crate::protocol::{Bind, Confinement, Network};

/// What bwrap and the init behind it read by descriptor: neither shows in a list of processes.
#[derive(Debug)]
pub(super) struct Files {
    args: OwnedFd,
    spec: OwnedFd,
    /// This program, which is the init.
    program: OwnedFd,
}

impl Files {
    pub(super) fn new(confinement: &Confinement, inside: &Inside) -> io::Result<Self> {
        let args: Vec<u8> = arguments(confinement).iter().flat_map(|arg| arg.as_bytes_with_nul().to_vec()).collect();
        let spec = postcard::to_extend(inside, Vec::new()).map_err(io::Error::other)?;
        Ok(Self {
            args: memory(&args)?,
            spec: memory(&spec)?,
            program: rustix::fs::open(c"/proc/self/exe", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?,
        })
    }

    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [self.args.as_fd(), self.spec.as_fd(), self.program.as_fd()].into_iter()
    }

    pub(super) fn argv(&self, bwrap: &CString, theirs: &OwnedFd) -> Vec<CString> {
        let program = format!("/proc/self/fd/{}", self.program.as_raw_fd());
        let texts = ["--args".to_owned(), self.args.as_raw_fd().to_string(), "--".to_owned(), program];
        let texts = texts.into_iter().chain(words(theirs, &self.spec));
        std::iter::once(bwrap.clone()).chain(texts.filter_map(|text| CString::new(text).ok())).collect()
    }
}

fn memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("nexus", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    let fd = OwnedFd::from(file);
    rustix::fs::seek(&fd, rustix::fs::SeekFrom::Start(0))?;
    Ok(fd)
}

/// The init stands for bwrap's own reaper, and the tree ends with whoever started bwrap.
const FIXED: &[&std::ffi::CStr] = &[
    c"--unshare-pid",
    c"--unshare-ipc",
    c"--unshare-uts",
    c"--unshare-cgroup-try",
    c"--die-with-parent",
    c"--as-pid-1",
];

fn arguments(confinement: &Confinement) -> Vec<CString> {
    let mut args: Vec<CString> = FIXED.iter().map(|arg| (*arg).to_owned()).collect();
    let mut say = |words: &[&std::ffi::CStr]| args.extend(words.iter().map(|word| (*word).to_owned()));
    if rustix::process::geteuid().is_root() {
        say(&[c"--cap-drop", c"ALL"]);
    } else {
        say(&[c"--unshare-user"]);
    }
    if confinement.network != Network::Full {
        say(&[c"--unshare-net"]);
    }
    say(&[c"--proc", c"/proc", c"--dev", c"/dev"]);
    let mut mounts: Vec<(&CString, Mount<'_>)> = Vec::new();
    mounts.extend(confinement.read.iter().map(|bind| (&bind.target, Mount::Read(bind))));
    mounts.extend(confinement.write.iter().map(|bind| (&bind.target, Mount::Write(bind))));
    mounts.extend(confinement.protected.iter().map(|path| (path, Mount::Protect)));
    mounts.extend(confinement.hidden.iter().map(|path| (path, Mount::Hide)));
    // What holds another comes first, or it would lie over it.
    mounts.sort_by_key(|(path, mount)| (path.as_bytes().iter().filter(|byte| **byte == b'/').count(), mount.order()));
    for (target, mount) in mounts {
        match mount {
            Mount::Read(bind) => say(&[c"--ro-bind-try", &bind.source, target]),
            Mount::Write(bind) => say(&[c"--bind-try", &bind.source, target]),
            Mount::Protect => say(&[c"--ro-bind-try", target, target]),
            Mount::Hide if is_dir(target) => say(&[c"--tmpfs", target, c"--remount-ro", target]),
            Mount::Hide => say(&[c"--ro-bind-try", c"/dev/null", target]),
        }
    }
    say(&[c"--remount-ro", c"/", c"--chdir", c"/"]);
    args
}

enum Mount<'a> {
    Read(&'a Bind),
    Write(&'a Bind),
    Protect,
    Hide,
}

impl Mount<'_> {
    const fn order(&self) -> u8 {
        match self {
            Self::Read(_) => 0,
            Self::Write(_) => 1,
            Self::Protect => 2,
            Self::Hide => 3,
        }
    }
}

fn is_dir(path: &CString) -> bool {
    Path::new(std::ffi::OsStr::from_bytes(path.as_bytes())).is_dir()
}
