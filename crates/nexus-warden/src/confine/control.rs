//! The way between the warden and an init: a socket of whole messages, over which the kernel also tells who speaks.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair, sockopt,
};
use serde::{Deserialize, Serialize};

use crate::protocol::{Exit, Fault, Signal, Stage};

/// A message of a confined tree's init.
#[derive(Debug)]
pub enum Inner {
    /// The program runs; its pid, as seen from here. A listener comes with [`crate::protocol::Network::Proxy`].
    Started {
        pid: u32,
        listener: Option<OwnedFd>,
    },
    NotStarted(Fault),
    LeaderExited(Exit),
}

/// The same as it is said.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Word {
    /// Said by the agent's process itself, before it is the agent.
    Here,
    Started,
    NotStarted(Fault),
    LeaderExited(Exit),
}

/// Longest message: a fault with its detail.
const LONGEST: usize = 4096;

/// The init's end and the warden's.
pub(super) fn ways() -> io::Result<(OwnedFd, OwnedFd)> {
    let (theirs, ours) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_passcred(&ours, true)?;
    Ok((theirs, ours))
}

/// The warden's end of the way to a tree's init.
#[derive(Debug)]
pub struct Control {
    way: OwnedFd,
    /// The agent's process, as seen from here.
    leader: u32,
    /// The words of bwrap when it can't do what it is told. None: there is no bwrap, or it could.
    complaints: Option<File>,
}

impl Control {
    pub(super) fn new(way: OwnedFd, complaints: Option<OwnedFd>) -> Self {
        Self { way, leader: 0, complaints: complaints.map(File::from) }
    }

    /// To be polled for reading.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.way.as_fd()
    }

    /// The next thing that the init says, if it is there.
    ///
    /// # Errors
    /// The init is gone.
    pub fn read(&mut self) -> io::Result<Option<Inner>> {
        loop {
            let mut bytes = [0; LONGEST];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1), ScmCredentials(1))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
            let read = match recvmsg(&self.way, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags) {
                Ok(message) if message.bytes == 0 => {
                    let failed = self.complaint().map(Inner::NotStarted);
                    return failed.map(Some).ok_or(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(message) => message.bytes,
                Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let (mut listener, mut speaker) = (None, 0);
            for message in ancillary.drain() {
                match message {
                    RecvAncillaryMessage::ScmRights(mut fds) => listener = fds.next(),
                    RecvAncillaryMessage::ScmCredentials(credentials) => {
                        speaker = credentials.pid.as_raw_nonzero().get().unsigned_abs();
                    }
                    _ => {}
                }
            }
            return Ok(Some(match postcard::from_bytes(&bytes[..read]).map_err(io::Error::other)? {
                Word::Here => {
                    self.leader = speaker;
                    continue;
                }
                Word::Started => {
                    self.complaints = None;
                    Inner::Started { pid: self.leader, listener }
                }
                Word::NotStarted(fault) => Inner::NotStarted(fault),
                Word::LeaderExited(exit) => Inner::LeaderExited(exit),
            }));
        }
    }

    /// The last line of what was complained of, once.
    fn complaint(&mut self) -> Option<Fault> {
        let mut text = vec![0; LONGEST];
        let read = self.complaints.take()?.read(&mut text).ok()?;
        let text = String::from_utf8_lossy(&text[..read]);
        let line = text.lines().last()?.trim();
        Some(Fault { stage: Stage::Confine, errno: 0, detail: line.to_owned() })
    }

    /// Has the init signal its tree.
    pub fn signal(&self, signal: Signal) {
        if let Ok(bytes) = postcard::to_extend(&signal, Vec::new()) {
            // An init that is gone has nothing to signal.
            let _ = rustix::net::send(&self.way, &bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
        }
    }
}

/// In the init, and in the agent's process before it is the agent.
pub(super) fn say(way: BorrowedFd<'_>, word: &Word, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let bytes = postcard::to_extend(word, Vec::new()).map_err(io::Error::other)?;
    let fds: Vec<_> = fd.into_iter().collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    }
    sendmsg(way, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// In the init: an order, none if there is none. An error: the warden is gone.
pub(super) fn heed(way: BorrowedFd<'_>) -> io::Result<Option<Signal>> {
    let mut bytes = [0; LONGEST];
    match rustix::net::recv(way, &mut bytes, RecvFlags::DONTWAIT) {
        Ok((0, _)) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok((read, _)) => postcard::from_bytes(&bytes[..read]).map(Some).map_err(io::Error::other),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
