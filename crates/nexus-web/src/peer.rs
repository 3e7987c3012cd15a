//! Whose connection it is: of a process on this machine that may use the company's port, or of one of a company's confined
//! agents, which may not, whatever it knows.
//!
//! The kernel says it. `/proc/net/tcp` has the other end's user and socket, and `/proc/PID/fd` who holds that. A process is
//! a confined agent's if it has a seccomp filter, which is never taken off again, and a warden among those it descends from:
//! whoever loses its parent becomes the child of its warden.

#[cfg(target_os = "linux")]
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::lobby::Place;

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(crate) enum Peer {
    /// It came by the socket in the data directory, and is of the company's own user.
    Owner,
    /// It came by the port, where anybody on this machine may knock.
    Loopback(Arc<Loopback>),
}

#[derive(Debug)]
pub(crate) struct Loopback {
    /// The other end, and this one.
    ends: (SocketAddr, SocketAddr),
    confined: OnceCell<bool>,
    place: Arc<Place>,
}

impl Peer {
    pub(crate) fn loopback(ends: (SocketAddr, SocketAddr), place: Arc<Place>) -> Self {
        Self::Loopback(Arc::new(Loopback { ends, confined: OnceCell::new(), place }))
    }
}

impl Loopback {
    /// True if a confined agent holds the other end, or if nobody can be found who does. Found out once for a connection.
    pub(crate) async fn is_confined(&self) -> bool {
        let (theirs, ours) = self.ends;
        // Where a look fails, nothing is known, and that is refused.
        let look = move || tokio::task::spawn_blocking(move || is_confined(theirs, ours));
        *self.confined.get_or_init(|| async { look().await.unwrap_or(true) }).await
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }
}

/// Only Linux can confine an agent.
#[cfg(not(target_os = "linux"))]
fn is_confined(_: SocketAddr, _: SocketAddr) -> bool {
    false
}

#[cfg(target_os = "linux")]
fn is_confined(theirs: SocketAddr, ours: SocketAddr) -> bool {
    let us = rustix::process::geteuid().as_raw();
    match socket(theirs, ours) {
        // An agent can't become another user.
        Some((uid, _)) if uid != us => false,
        Some((_, inode)) => holder(us, inode) != Holder::Free,
        None => true,
    }
}

/// The user and the inode of the socket at the other end; none: nobody holds it any more.
#[cfg(target_os = "linux")]
fn socket(theirs: SocketAddr, ours: SocketAddr) -> Option<(u32, u64)> {
    let mut all = procfs::net::tcp().unwrap_or_default();
    all.extend(procfs::net::tcp6().unwrap_or_default());
    let entry =
        all.into_iter().find(|entry| is_same(entry.local_address, theirs) && is_same(entry.remote_address, ours));
    entry.filter(|entry| entry.inode != 0).map(|entry| (entry.uid, entry.inode))
}

/// An IPv4 address can be written as one of IPv6.
#[cfg(target_os = "linux")]
fn is_same(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && one.ip().to_canonical() == other.ip().to_canonical()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg(target_os = "linux")]
enum Holder {
    Free,
    Confined,
    Nobody,
}

/// What of a process tells whose it is.
#[cfg(target_os = "linux")]
struct Kin {
    parent: i32,
    is_warden: bool,
    is_filtered: bool,
}

#[cfg(target_os = "linux")]
const WARDEN: &str = "nexus-warden";
/// How the process of a tunnel is called.
#[cfg(target_os = "linux")]
const TUNNEL: &str = "sshd";
/// `Seccomp` in `/proc/PID/status`: a filter is in force.
#[cfg(target_os = "linux")]
const FILTERED: u32 = 2;

/// Who holds a socket. A tunnel of sshd's can't be looked into, and counts as the holder of what nobody else holds.
#[cfg(target_os = "linux")]
fn holder(us: u32, inode: u64) -> Holder {
    use procfs::process::FDTarget;

    let mut kin = HashMap::new();
    let (mut holders, mut hidden) = (Vec::new(), Vec::new());
    for process in procfs::process::all_processes().into_iter().flatten().flatten() {
        let Ok(status) = process.status() else { continue };
        let is_warden = status.name == WARDEN;
        kin.insert(process.pid, Kin { parent: status.ppid, is_warden, is_filtered: status.seccomp == Some(FILTERED) });
        if status.euid != us {
            continue;
        }
        match process.fd() {
            Ok(mut fds) => {
                if fds.any(|fd| fd.is_ok_and(|fd| matches!(fd.target, FDTarget::Socket(it) if it == inode))) {
                    holders.push(process.pid);
                }
            }
            Err(_) if status.name.starts_with(TUNNEL) => hidden.push(process.pid),
            Err(_) => {}
        }
    }
    let is_agents = |pid: &i32| is_filtered(&kin, *pid) && descends_from_a_warden(&kin, *pid);
    if holders.is_empty() {
        holders = hidden;
    }
    match holders[..] {
        [] => Holder::Nobody,
        _ if holders.iter().any(is_agents) => Holder::Confined,
        _ => Holder::Free,
    }
}

#[cfg(target_os = "linux")]
fn is_filtered(kin: &HashMap<i32, Kin>, pid: i32) -> bool {
    kin.get(&pid).is_some_and(|own| own.is_filtered)
}

/// True for wardens too.
#[cfg(target_os = "linux")]
fn descends_from_a_warden(kin: &HashMap<i32, Kin>, pid: i32) -> bool {
    let parent = |pid: &i32| kin.get(pid).map(|own| own.parent);
    // Numbers are used again: what was read at different moments might run in a circle.
    let mut line = std::iter::successors(Some(pid), parent).take(kin.len());
    line.any(|pid| kin.get(&pid).is_some_and(|own| own.is_warden))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_process_that_nobody_confines_is_free() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(!is_confined(client.local_addr().unwrap(), listener.local_addr().unwrap()));
    }

    #[test]
    fn a_connection_that_nobody_holds_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let theirs = client.local_addr().unwrap();
        drop(client);
        assert!(is_confined(theirs, listener.local_addr().unwrap()));
    }

    #[test]
    fn whose_a_process_is_its_ancestors_tell() {
        let own = |parent, is_warden, is_filtered| Kin { parent, is_warden, is_filtered };
        let kin = HashMap::from([
            (1, own(0, false, false)),
            (10, own(1, false, false)),
            (20, own(10, true, false)),
            (21, own(20, false, false)),
            (22, own(21, false, true)),
            (30, own(1, false, true)),
            (40, own(41, false, true)),
            (41, own(40, false, true)),
        ]);
        let all = [1, 10, 20, 21, 22, 30, 40, 99];
        let of_a_warden: Vec<_> = all.into_iter().filter(|pid| descends_from_a_warden(&kin, *pid)).collect();
        assert_eq!(of_a_warden, [20, 21, 22]);
    }
}
