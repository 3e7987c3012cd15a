//! The files that an agent sees: a root of its own, made of mounts of what it may reach and of nothing else.
//!
//! Everything is found and mounted by descriptor. Where an agent may write no link is followed: neither to what is mounted,
//! nor to where.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode, OFlags, mkdirat, openat, symlinkat};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree, unmount};

use super::mounts::{Hidden, KERNEL, Mount, ordered, path};
use super::spaces::keep_mounts_apart;
use super::{exact, paths::DEVICES};
use crate::protocol::{Bind, Confinement, Fault, Stage};
use crate::tree::fault;

mod attributes;
mod systems;

use attributes::{NODEV, NOEXEC, NOSUID, RDONLY, clear, set};

/// Makes the view of this confinement the root of this process, in a mount namespace of its own. Nothing of the old root can be
/// reached then.
pub(super) fn enter(confinement: &Confinement) -> Result<(), Fault> {
    keep_mounts_apart().map_err(|error| fault(Stage::Confine, &error))?;
    let view = View::new()?;
    view.add_system()?;
    let writable: Vec<&CStr> = confinement.write.iter().map(|bind| bind.source.as_c_str()).collect();
    let mut hidden = Vec::new();
    for (target, mount) in ordered(confinement) {
        match mount {
            Mount::Read(bind) => view.bind(bind, &writable, RDONLY)?,
            Mount::Write(bind) => view.bind(bind, &writable, 0)?,
            Mount::Protect => view.protect(target)?,
            Mount::Hide(kind) => hidden.extend(view.hide(target, kind, hidden.len())?),
        }
    }
    // Only now: what is in reach may lie within.
    for place in &hidden {
        set(place, RDONLY, false).map_err(|error| at(error, c"what is hidden"))?;
    }
    set(&view.root, RDONLY, false).and_then(|()| view.become_root()).map_err(|error| at(error, c"/"))
}

/// Makes a place that can be written among what is read-only.
pub(super) fn lay_over_itself(place: &OwnedFd) -> rustix::io::Result<()> {
    let tree = whole(place, c"", true)?;
    clear(&tree, RDONLY)?;
    attach_at(&tree, place)
}

/// Makes the mount at `place` read-only with all that is mounted below it.
pub(super) fn set_read_only(place: &CStr) -> rustix::io::Result<()> {
    set(&rustix::fs::open(place, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?, RDONLY, true)
}

struct View {
    /// A file system in memory, which the view's own directories lie in.
    memory: OwnedFd,
    /// The root of the view: a mount of a directory in there.
    root: OwnedFd,
}

impl View {
    fn new() -> Result<Self, Fault> {
        let make = || -> rustix::io::Result<Self> {
            let memory = systems::tmpfs()?;
            move_mount(&memory, c"", CWD, c"/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
            for (name, mode) in [(c"root", 0o755), (c"hidden", 0o755), (c"shm", 0o1777)] {
                mkdirat(&memory, name, Mode::from(mode))?;
            }
            // Whatever the umask is.
            rustix::fs::chmodat(&memory, c"shm", Mode::from(0o1777), rustix::fs::AtFlags::empty())?;
            // Without rights for anybody.
            openat(&memory, c"empty", OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
            let root = part(&memory, c"root")?;
            move_mount(&root, c"", &memory, c"root", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
            Ok(Self { memory, root })
        };
        make().map_err(|error| at(error, c"a root of its own"))
    }

    /// Its own processes, terminals and shared memory, and the devices that programs take for granted.
    fn add_system(&self) -> Result<(), Fault> {
        self.put(&systems::proc().map_err(|error| at(error, c"/proc"))?, c"/proc")?;
        if rustix::process::geteuid().is_root() {
            // Root owns these files, also without any capability.
            for name in KERNEL.map(relative) {
                match part(&self.root, name) {
                    Ok(tree) => {
                        set(&tree, RDONLY, true).map_err(|error| at(error, name))?;
                        attach(&tree, &self.root, name).map_err(|error| at(error, name))?;
                    }
                    Err(Errno::NOENT) => {}
                    Err(error) => return Err(at(error, name)),
                }
            }
        }
        let devices = || -> rustix::io::Result<()> {
            mkdirat(&self.root, c"dev", Mode::from(0o755))?;
            for (name, target) in LINKS {
                symlinkat(target, &self.root, name)?;
            }
            Ok(())
        };
        devices().map_err(|error| at(error, c"/dev"))?;
        for device in DEVICES {
            let device = CString::new(device).unwrap_or_default();
            let tree = whole(CWD, &device, false).map_err(|error| at(error, &device))?;
            set(&tree, NOSUID | NOEXEC, true).map_err(|error| at(error, &device))?;
            let made = openat(&self.root, relative(&device), FRESH, Mode::from(0o644)).map(drop);
            made.and_then(|()| attach(&tree, &self.root, relative(&device))).map_err(|error| at(error, &device))?;
        }
        self.put(&systems::devpts().map_err(|error| at(error, c"/dev/pts"))?, c"/dev/pts")?;
        let shm = part(&self.memory, c"shm").map_err(|error| at(error, c"/dev/shm"))?;
        set(&shm, NOSUID | NODEV | NOEXEC, false).map_err(|error| at(error, c"/dev/shm"))?;
        self.put(&shm, c"/dev/shm")
    }

    /// `writable`: sources that agents may write to, below which they may have left links.
    fn bind(&self, bind: &Bind, writable: &[&CStr], more: u64) -> Result<(), Fault> {
        let opened = match bind.exact {
            true => Some(exact::open(&bind.source)),
            false => exact::open_below(&bind.source, writable),
        };
        let tree = match opened {
            Some(place) => place.and_then(|place| whole(&place, c"", true)),
            None => whole(CWD, &bind.source, false),
        };
        let tree = match tree {
            Ok(tree) => tree,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            Err(error) => return Err(at(error, &bind.source)),
        };
        set(&tree, NOSUID | NODEV | more, true).map_err(|error| at(error, &bind.source))?;
        self.put(&tree, &bind.target)
    }

    /// A place that can't be protected is not left open.
    fn protect(&self, target: &CString) -> Result<(), Fault> {
        let tree = exact::open(target).and_then(|place| whole(&place, c"", true));
        let tree = tree.map_err(|error| at(error, target))?;
        set(&tree, NOSUID | NODEV | RDONLY, true).map_err(|error| at(error, target))?;
        self.put(&tree, target)
    }

    /// Puts something empty there. It can be written until that is set.
    fn hide(&self, target: &CString, kind: Hidden, number: usize) -> Result<Option<OwnedFd>, Fault> {
        let place = match exact::open_in(&self.root, relative(target)) {
            Ok(place) => place,
            // What isn't in reach needn't be hidden.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(at(error, target)),
        };
        let hide = || -> rustix::io::Result<OwnedFd> {
            let tree = match kind {
                Hidden::File => part(&self.memory, c"empty")?,
                Hidden::Directory => {
                    let name = CString::new(format!("hidden/{number}")).map_err(|_| Errno::INVAL)?;
                    mkdirat(&self.memory, &name, Mode::from(0o755))?;
                    part(&self.memory, &name)?
                }
            };
            attach_at(&tree, &place)?;
            Ok(tree)
        };
        hide().map(Some).map_err(|error| at(error, target))
    }

    /// Mounts what was made ready, and makes the way there.
    fn put(&self, tree: &OwnedFd, target: &CStr) -> Result<(), Fault> {
        let put = || -> rustix::io::Result<()> {
            let is_dir = FileType::from_raw_mode(rustix::fs::fstat(tree)?.st_mode) == FileType::Directory;
            let target = relative(target);
            // Most lie at the top, where nobody else makes anything.
            if is_dir && !target.to_bytes().contains(&b'/') && mkdirat(&self.root, target, Mode::from(0o755)).is_ok() {
                return attach(tree, &self.root, target);
            }
            attach_at(tree, &self.place(target, is_dir)?)
        };
        put().map_err(|error| at(error, target))
    }

    /// A directory or a file to mount something over.
    fn place(&self, target: &CStr, is_dir: bool) -> rustix::io::Result<OwnedFd> {
        match exact::open_in(&self.root, target) {
            Err(Errno::NOENT) => {}
            found => return found,
        }
        let own = rustix::fs::fstat(&self.memory)?.st_dev;
        let mut at = rustix::io::fcntl_dupfd_cloexec(&self.root, 3)?;
        let mut parts = target.to_bytes().split(|byte| *byte == b'/').filter(|part| !part.is_empty()).peekable();
        while let Some(part) = parts.next() {
            let part = CString::new(part).map_err(|_| Errno::INVAL)?;
            let made = match (parts.peek().is_some(), is_dir) {
                // Nobody needs to see what else lies on the way. In the agent's own home it is the agent's.
                (true, _) if rustix::fs::fstat(&at)?.st_dev == own => mkdirat(&at, &part, Mode::from(0o111)),
                (true, _) => mkdirat(&at, &part, Mode::from(0o755)),
                (false, true) => mkdirat(&at, &part, Mode::from(0o755)),
                (false, false) => openat(&at, &part, FRESH, Mode::from(0o644)).map(drop),
            };
            match made {
                Ok(()) | Err(Errno::EXIST) => {}
                // There may be something all the same, on a file system that says the other thing first.
                Err(error) if exact::open_in(&at, &part).is_err() => return Err(error),
                Err(_) => {}
            }
            at = exact::open_in(&at, &part)?;
        }
        Ok(at)
    }

    fn become_root(&self) -> rustix::io::Result<()> {
        rustix::process::fchdir(&self.root)?;
        rustix::process::pivot_root(c".", c".")?;
        unmount(c".", UnmountFlags::DETACH)?;
        rustix::process::chdir(c"/")
    }
}

/// Makes a file that isn't there.
const FRESH: OFlags =
    OFlags::CREATE.union(OFlags::EXCL).union(OFlags::WRONLY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

const LINKS: [(&CStr, &CStr); 5] = [
    (c"dev/ptmx", c"pts/ptmx"),
    (c"dev/fd", c"/proc/self/fd"),
    (c"dev/stdin", c"/proc/self/fd/0"),
    (c"dev/stdout", c"/proc/self/fd/1"),
    (c"dev/stderr", c"/proc/self/fd/2"),
];

/// A mount of a place with all that is mounted below it. It isn't attached anywhere yet.
fn whole(directory: impl AsFd, place: &CStr, is_empty: bool) -> rustix::io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::AT_RECURSIVE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if is_empty {
        flags |= OpenTreeFlags::AT_EMPTY_PATH;
    }
    open_tree(directory, place, flags)
}

/// The same of something of the view's own.
fn part(directory: impl AsFd, place: &CStr) -> rustix::io::Result<OwnedFd> {
    open_tree(directory, place, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)
}

fn attach(tree: &OwnedFd, directory: &OwnedFd, place: &CStr) -> rustix::io::Result<()> {
    move_mount(tree, c"", directory, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

fn attach_at(tree: &OwnedFd, place: &OwnedFd) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, c"", place, c"", flags)
}

/// A path from the root, as one from the view's root.
fn relative(target: &CStr) -> &CStr {
    let slashes = target.to_bytes().iter().take_while(|byte| **byte == b'/').count();
    CStr::from_bytes_with_nul(&target.to_bytes_with_nul()[slashes..]).unwrap_or(c".")
}

fn at(error: Errno, place: &CStr) -> Fault {
    let detail = match error {
        Errno::LOOP => exact::remove_it(place),
        _ => format!("mount {}", path(place).display()),
    };
    let errno = if error == Errno::LOOP { 0 } else { error.raw_os_error() };
    Fault { stage: Stage::Confine, errno, detail }
}
