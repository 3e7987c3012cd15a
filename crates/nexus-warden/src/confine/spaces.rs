//! Namespaces that a warden makes by itself: who the child is in them, and what it mounts there.

use std::ffi::{CStr, CString};
use std::io;

use rustix::fs::{Mode, OFlags, StatVfsMountFlags, fstatvfs, open};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};

use super::view;

pub(super) const NEWNS: u64 = 0x0002_0000;
pub(super) const NEWCGROUP: u64 = 0x0200_0000;
pub(super) const NEWUTS: u64 = 0x0400_0000;
pub(super) const NEWIPC: u64 = 0x0800_0000;
pub(super) const NEWUSER: u64 = 0x1000_0000;
pub(super) const NEWPID: u64 = 0x2000_0000;
pub(super) const NEWNET: u64 = 0x4000_0000;

/// The namespaces that a child is made in, and who this process is: in a new user namespace it is nobody until that is told
/// who is mapped to whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spaces {
    pub(crate) flags: u64,
    user: u32,
    group: u32,
}

impl Spaces {
    /// Before the fork.
    pub(crate) fn of_this_user(flags: u64) -> Self {
        Self { flags, user: rustix::process::geteuid().as_raw(), group: rustix::process::getegid().as_raw() }
    }

    /// In the child: makes it the user that its parent is, and its mounts its own.
    pub(crate) fn begin(self) -> io::Result<()> {
        if self.flags & NEWUSER != 0 {
            std::fs::write("/proc/self/setgroups", "deny")?;
            std::fs::write("/proc/self/uid_map", format!("{0} {0} 1", self.user))?;
            std::fs::write("/proc/self/gid_map", format!("{0} {0} 1", self.group))?;
        }
        if self.flags & NEWNS != 0 {
            // What is mounted outside later is seen here, and nothing the other way round.
            mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
        }
        Ok(())
    }

    /// In the child: makes its namespaces what an agent is to see. Of the files all but those below `write` are read-only
    /// then, also for what Landlock doesn't look at: modes, owners, times. To those that are `exact` no link leads.
    pub(super) fn settle(self, write: &[CString], exact: &[CString]) -> io::Result<()> {
        if self.flags & NEWNS == 0 {
            return Ok(());
        }
        keep_mounts_apart()?;
        let all: Vec<&CStr> = write.iter().map(CString::as_c_str).collect();
        let mut writable = Vec::new();
        for path in write {
            let opened = match exact.contains(path) {
                true => super::exact::open(path),
                false => super::exact::open_below(path, &all)
                    .unwrap_or_else(|| open(path.as_c_str(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())),
            };
            match opened {
                // Asked before all is read-only: what was so already stays so.
                Ok(place) if fstatvfs(&place)?.f_flag.contains(StatVfsMountFlags::RDONLY) => {}
                Ok(place) => writable.push(place),
                Err(Errno::LOOP) => return Err(super::exact::named(Errno::LOOP, path)),
                Err(_) => {}
            }
        }
        if self.flags & NEWPID != 0 {
            over(c"proc", c"/proc", MountFlags::NODEV, None);
        }
        // Terminals of its own: of those that are there some are the user's.
        over(c"devpts", c"/dev/pts", MountFlags::empty(), Some(c"newinstance,ptmxmode=0666,mode=0620"));
        view::set_read_only(c"/")?;
        for place in &writable {
            view::lay_over_itself(place)?;
        }
        over(c"tmpfs", c"/dev/shm", MountFlags::NODEV, Some(c"mode=1777"));
        Ok(())
    }
}

/// A mount that is made outside later is not seen here: it would be neither read-only nor named.
pub(super) fn keep_mounts_apart() -> io::Result<()> {
    Ok(mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?)
}

/// These namespaces, and one of mounts that the child may change.
pub(crate) fn with_mounts(flags: u64) -> u64 {
    use rustix::thread::{CapabilitySet, capabilities};
    let may_mount = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN));
    flags | NEWNS | if may_mount { 0 } else { NEWUSER }
}

/// Mounts what is not to be shared with others. Within a container it may be refused: Landlock and DAC guard what is there.
fn over(kind: &CStr, target: &CStr, flags: MountFlags, options: Option<&CStr>) {
    let _ = mount(kind, target, kind, flags | MountFlags::NOSUID | MountFlags::NOEXEC, options);
}
