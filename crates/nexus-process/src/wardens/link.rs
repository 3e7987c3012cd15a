//! A running warden and the socket to it.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::process::Stdio;

use nexus_warden::protocol::{self, Order, Report};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv,
    recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::program;

/// A warden. Dropped, it ends what it keeps and itself.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) pid: u32,
    /// The name of its control groups; none where there are none.
    pub(super) groups: Option<String>,
    /// The number of trees that it has kept.
    pub(super) trees: u64,
    socket: UnixStream,
    /// Reaped by the runtime, also when this is dropped.
    child: Child,
    /// At most one frame, and what one read brought after it.
    inbox: Vec<u8>,
    /// At most one: a listener.
    fds: VecDeque<OwnedFd>,
}

/// Descriptors that go with one order, and come with one report.
const FDS: usize = 3;
const READ: usize = 4 * 1024;
/// The time that a warden that keeps nothing needs to end, and much more.
const END: std::time::Duration = std::time::Duration::from_secs(2);

impl Link {
    pub(super) fn start() -> io::Result<Self> {
        let (ours, theirs) = StdStream::pair()?;
        let (path, _file) = program::file()?;
        let mut command = Command::new(path);
        // No environment: it must not carry the mark of what it keeps. No `pre_exec`: a fork of a big process is slow.
        command.env_clear().stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).stderr(Stdio::null());
        // What a terminal sends to the company's group is not for it.
        command.process_group(0).arg0("nexus-warden").arg("serve");
        let child = command.spawn()?;
        ours.set_nonblocking(true)?;
        Ok(Self {
            pid: child.id().unwrap_or_default(),
            groups: None,
            trees: 0,
            socket: UnixStream::from_std(ours)?,
            child,
            inbox: Vec::new(),
            fds: VecDeque::new(),
        })
    }

    /// Returns when it has ended.
    pub(super) async fn close(self) {
        let Self { socket, mut child, .. } = self;
        drop(socket);
        if tokio::time::timeout(END, child.wait()).await.is_err() {
            tracing::warn!("a warden that keeps nothing doesn't end");
        }
    }

    /// Nothing is to be heard of a warden that keeps nothing, but its end.
    pub(super) fn is_quiet(&self) -> bool {
        let mut byte = [0; 1];
        let heard = recv(&self.socket, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT);
        matches!(heard, Err(Errno::AGAIN))
    }

    /// Sends an order whole. Not to be dropped before it is done, or nothing that follows can be understood.
    pub(super) async fn send(&self, order: &Order, fds: &[OwnedFd]) -> io::Result<()> {
        let frame = protocol::frame(order).map_err(io::Error::other)?;
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        let mut sent = 0;
        while sent < frame.len() {
            self.socket.writable().await?;
            let send = || {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
                let mut ancillary = SendAncillaryBuffer::new(&mut space);
                if sent == 0 && !fds.is_empty() {
                    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
                }
                Ok(sendmsg(&self.socket, &[IoSlice::new(&frame[sent..])], &mut ancillary, SendFlags::NOSIGNAL)?)
            };
            match self.socket.try_io(Interest::WRITABLE, send) {
                Ok(more) => sent += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The next report and the descriptor that came with it. Loses nothing when it is dropped before it is ready.
    pub(super) async fn receive(&mut self) -> io::Result<(Report, Option<OwnedFd>)> {
        loop {
            if let Some(report) = protocol::take(&mut self.inbox).map_err(io::Error::other)? {
                let fd = match &report {
                    Report::Started { listener: true, .. } => self.fds.pop_front(),
                    _ => None,
                };
                return Ok((report, fd));
            }
            self.socket.readable().await?;
            let mut bytes = [0; READ];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let receive = || {
                let mut into = [IoSliceMut::new(&mut bytes)];
                Ok(recvmsg(&self.socket, &mut into, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?)
            };
            match self.socket.try_io(Interest::READABLE, receive) {
                Ok(message) if message.bytes == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(message) => {
                    for message in ancillary.drain() {
                        if let RecvAncillaryMessage::ScmRights(fds) = message {
                            self.fds.extend(fds);
                        }
                    }
                    self.inbox.extend_from_slice(&bytes[..message.bytes]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}
