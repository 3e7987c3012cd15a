//! Attributes of mounts that are known by descriptor.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;

pub(super) const RDONLY: u64 = 1;
pub(super) const NOSUID: u64 = 2;
pub(super) const NODEV: u64 = 4;
pub(super) const NOEXEC: u64 = 8;

/// Sets attributes of a mount, and of all that is mounted below it.
pub(super) fn set(mount: &OwnedFd, attributes: u64, recursive: bool) -> rustix::io::Result<()> {
    change(mount, [attributes, 0, 0, 0], recursive)
}

/// Clears attributes of a mount, and not of what is mounted below it.
pub(super) fn clear(mount: &OwnedFd, attributes: u64) -> rustix::io::Result<()> {
    change(mount, [0, attributes, 0, 0], false)
}

/// `attributes` are a `struct mount_attr`: what is set, what is cleared, propagation, user namespace.
fn change(mount: &OwnedFd, attributes: [u64; 4], recursive: bool) -> rustix::io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    #[expect(unsafe_code, reason = "mount_setattr has no safe interface")]
    // SAFETY: the path ends with a zero, the attributes are as long as is said, and both outlive the call.
    let result = unsafe {
        let (path, length) = (c"".as_ptr(), size_of_val(&attributes));
        libc::syscall(libc::SYS_mount_setattr, mount.as_raw_fd(), path, flags, attributes.as_ptr(), length)
    };
    if result == 0 { Ok(()) } else { Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)) }
}
