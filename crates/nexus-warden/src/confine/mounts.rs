//! The mounts of a confinement, in the order in which they have to be made.

use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::protocol::{Bind, Confinement};

/// Of `/proc`: settings of the kernel, which are the machine's.
pub(super) const KERNEL: [&CStr; 6] =
    [c"/proc/sys", c"/proc/sysrq-trigger", c"/proc/irq", c"/proc/bus", c"/proc/fs", c"/proc/acpi"];

/// One place that an agent sees, or is kept from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mount<'a> {
    Read(&'a Bind),
    Write(&'a Bind),
    /// Read-only, within something that can be written.
    Protect,
    /// Empty, within something that can be read.
    Hide(Hidden),
}

/// The stand-in for something hidden.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hidden {
    Directory,
    File,
}

impl Mount<'_> {
    const fn order(self) -> u8 {
        match self {
            Self::Read(_) => 0,
            Self::Write(_) => 1,
            Self::Protect => 2,
            Self::Hide(_) => 3,
        }
    }
}

/// All mounts with their targets. A mount that holds another comes first, or it would lie over the other.
pub(super) fn ordered(confinement: &Confinement) -> Vec<(&CString, Mount<'_>)> {
    let hidden = confinement.hidden.iter().filter_map(|target| match path(target).symlink_metadata() {
        Ok(found) if found.is_dir() => Some((target, Mount::Hide(Hidden::Directory))),
        Ok(found) if !found.is_symlink() => Some((target, Mount::Hide(Hidden::File))),
        // It has gone since it was found; or it is a link, and what that leads to is in reach or is not.
        _ => None,
    });
    let mut mounts: Vec<_> = (confinement.read.iter().map(|bind| (&bind.target, Mount::Read(bind))))
        .chain(confinement.write.iter().map(|bind| (&bind.target, Mount::Write(bind))))
        .chain(confinement.protected.iter().map(|path| (path, Mount::Protect)))
        .chain(hidden)
        .collect();
    mounts.sort_by_key(|(path, mount)| (path.as_bytes().iter().filter(|byte| **byte == b'/').count(), mount.order()));
    mounts
}

pub(super) fn path(path: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(path.to_bytes()))
}
