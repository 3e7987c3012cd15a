//! The loopback device of a network of one's own.

use std::io;
use std::os::fd::AsRawFd;

/// Brings up the loopback device of a new network, which is down at first.
pub(super) fn bring_up() -> io::Result<()> {
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
