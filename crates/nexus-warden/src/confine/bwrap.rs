//! The orders to bwrap: which files an agent sees, and where.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{MemfdFlags, Mode, OFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};

use super::Inside;
use super::mounts::{Hidden, KERNEL, Mount, ordered};
use crate::protocol::{Confinement, Network};
use crate::tree::fork;

/// The files that bwrap and the init behind it are given by descriptor: these don't show in a list of processes.
#[derive(Debug)]
pub(super) struct Files {
    bwrap: CString,
    args: OwnedFd,
    spec: OwnedFd,
    /// This program, which is the init.
    program: OwnedFd,
    /// Where bwrap complains: its words are not the agent's. The end to read, and the one to write.
    complaints: (OwnedFd, OwnedFd),
}

impl Files {
    pub(super) fn new(bwrap: &CString, confinement: &Confinement, inside: &Inside) -> io::Result<Self> {
        let args: Vec<u8> = arguments(confinement).iter().flat_map(|arg| arg.as_bytes_with_nul().to_vec()).collect();
        let spec = postcard::to_extend(inside, Vec::new()).map_err(io::Error::other)?;
        Ok(Self {
            bwrap: bwrap.clone(),
            args: memory(&args)?,
            spec: memory(&spec)?,
            program: own_program()?,
            complaints: pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?,
        })
    }

    pub(super) fn into_complaints(self) -> OwnedFd {
        self.complaints.0
    }

    /// Returns why not. [`super::inside`] is given the way to the warden, what to start, and its standard error.
    pub(super) fn become_bwrap(&self, theirs: &OwnedFd, env: &[CString]) -> io::Error {
        let become_it = || -> io::Result<io::Error> {
            let stderr = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3)?;
            rustix::stdio::dup2_stderr(&self.complaints.1)?;
            let fds = [&self.args, &self.program, theirs, &self.spec, &stderr];
            for fd in fds {
                fcntl_setfd(fd, FdFlags::empty())?;
            }
            let [args, program, theirs, spec, stderr] = fds.map(|fd| fd.as_raw_fd().to_string());
            let program = format!("/proc/self/fd/{program}");
            let words = ["--args", &args, "--", &program, "inside", &theirs, &spec, &stderr];
            let words = words.into_iter().map(CString::new).collect::<Result<Vec<_>, _>>()?;
            let argv: Vec<CString> = std::iter::once(self.bwrap.clone()).chain(words).collect();
            Ok(fork::Image::new(&self.bwrap, &argv, env).execute())
        };
        become_it().unwrap_or_else(|error| error)
    }
}

pub(super) fn own_program() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(c"/proc/self/exe", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

fn memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("nexus", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    let fd = OwnedFd::from(file);
    rustix::fs::seek(&fd, rustix::fs::SeekFrom::Start(0))?;
    Ok(fd)
}

/// The init stands for bwrap's own reaper, and the tree ends with whoever started bwrap.
const FIXED: &[&CStr] = &[
    c"--unshare-pid",
    c"--unshare-ipc",
    c"--unshare-uts",
    c"--unshare-cgroup-try",
    c"--die-with-parent",
    c"--as-pid-1",
];

/// Root gets no namespace of users: without its capabilities it is a user like others, who owns root's files.
pub(super) fn namespaces(own_network: bool) -> Vec<&'static CStr> {
    let mut args = FIXED.to_vec();
    if rustix::process::geteuid().is_root() {
        args.extend([c"--cap-drop", c"ALL"]);
    } else {
        args.push(c"--unshare-user");
    }
    if own_network {
        args.push(c"--unshare-net");
    }
    args
}

fn arguments(confinement: &Confinement) -> Vec<CString> {
    let mut args: Vec<CString> = Vec::new();
    let mut say = |words: &[&CStr]| args.extend(words.iter().map(|word| (*word).to_owned()));
    say(&namespaces(confinement.network != Network::Full));
    say(&[c"--proc", c"/proc", c"--dev", c"/dev"]);
    if rustix::process::geteuid().is_root() {
        // Root owns these files, also without any capability; and bwrap looks at the rights to the directory alone.
        KERNEL.iter().for_each(|place| say(&[c"--ro-bind-try", place, place]));
    }
    let mut empty = Vec::new();
    for (target, mount) in ordered(confinement) {
        match mount {
            Mount::Read(bind) => say(&[c"--ro-bind-try", &bind.source, target]),
            Mount::Write(bind) => say(&[c"--bind-try", &bind.source, target]),
            // What can't be protected is not left open.
            Mount::Protect => say(&[c"--ro-bind", target, target]),
            Mount::Hide(Hidden::Directory) => {
                say(&[c"--tmpfs", target]);
                empty.push(target);
            }
            Mount::Hide(Hidden::File) => say(&[c"--ro-bind", c"/dev/null", target]),
        }
    }
    // Only now: what is in reach may lie within.
    empty.into_iter().for_each(|target| say(&[c"--remount-ro", target]));
    say(&[c"--remount-ro", c"/", c"--chdir", c"/"]);
    args
}
