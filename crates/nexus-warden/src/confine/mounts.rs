//! The mounts of a confinement, in the order in which they have to be made.

use std::collections::HashMap;
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

/// The mounts that it takes, with their targets. A mount that holds another comes first, or it would lie over the other.
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
    leave_out_what_is_seen(&mut mounts);
    mounts
}

/// Leaves out what can be read where it lies, as part of what is mounted around it.
fn leave_out_what_is_seen(mounts: &mut Vec<(&CString, Mount<'_>)>) {
    // Of each place that something was mounted at: whether that is the place itself, to be read.
    let mut shown = HashMap::new();
    mounts.retain(|(target, mount)| {
        let is_itself = matches!(mount, Mount::Read(bind) if bind.source == bind.target && !bind.exact);
        let around = path(target).ancestors().skip(1).filter(|around| around.parent().is_some());
        let is_seen = is_itself && around.filter_map(|around| shown.get(around)).next().is_some_and(|seen| *seen);
        shown.insert(path(target), is_itself);
        !is_seen
    });
}

pub(super) fn path(path: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(path.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Network, Tier};

    fn c(path: &str) -> CString {
        CString::new(path).unwrap()
    }

    fn bind(source: &str, target: &str) -> Bind {
        Bind { source: c(source), target: c(target), exact: false }
    }

    /// The targets of the mounts, for these to be read and those to be written.
    fn targets(read: &[&str], write: &[Bind]) -> Vec<String> {
        let confinement = Confinement {
            tier: Tier::Landlock { clone_flags: 0 },
            read: read.iter().map(|path| bind(path, path)).collect(),
            write: write.to_vec(),
            protected: vec![c("/work/.git")],
            hidden: vec![c("/etc/passwd")],
            network: Network::Full,
        };
        ordered(&confinement).iter().map(|(target, _)| target.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn what_is_seen_within_another_place_is_not_mounted_again() {
        let read = ["/opt", "/opt/tool", "/opt/tool/bin", "/home/a/.cargo/bin"];
        assert_eq!(targets(&read, &[]), ["/opt", "/work/.git", "/etc/passwd", "/home/a/.cargo/bin"]);
    }

    #[test]
    fn what_lies_within_another_kind_of_place_is_mounted() {
        let read =
            ["/opt", "/opt/work/tool", "/work/.git/x", "/etc/passwd/x", "/tmp/x", "/home/a/bin", "/home/a/bin/b"];
        let write = [bind("/opt/work", "/opt/work"), bind("/private/tmp", "/tmp"), bind("/home/a/bin", "/home/a/bin")];
        let mounted = targets(&read, &write);
        for path in read {
            assert!(mounted.iter().any(|target| target == path), "{path} of {mounted:?}");
        }
    }
}
