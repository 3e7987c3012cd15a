//! The warden's loop: orders come in, one tree at a time is kept, and what becomes of it is told.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

use crate::cgroup::Group;
use crate::protocol::{self, Fault, Order, Report, Signal, Stage};
use crate::tree::{Children, KILL_AGAIN, Tree};

/// Serves the runtime at the other end of standard input until that is gone; then ends what is left and returns. A failure
/// means that the system refuses what a warden needs.
#[must_use]
pub fn serve() -> ExitCode {
    let _ = rustix::thread::set_name(c"nexus-warden");
    let (Ok(children), Ok(socket)) = (Children::new(), rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3)) else {
        return ExitCode::FAILURE;
    };
    let mut warden = Warden { socket, inbox: Vec::new(), fds: VecDeque::new(), group: None, tree: None };
    while warden.turn(&children).is_ok() {}
    warden.end(&children);
    ExitCode::SUCCESS
}

struct Warden {
    socket: OwnedFd,
    /// At most one frame, and what one read brought after it.
    inbox: Vec<u8>,
    /// Descriptors that came and belong to a frame that isn't whole yet: at most three, as a runtime sends no second one
    /// before it has heard what became of the first.
    fds: VecDeque<OwnedFd>,
    group: Option<Result<Group, Fault>>,
    tree: Option<Tree>,
}

/// The runtime is gone, or can't be understood.
struct Over;

impl From<Errno> for Over {
    fn from(_: Errno) -> Self {
        Self
    }
}

const READ: usize = 64 * 1024;
/// Descriptors that come with one frame.
const FDS: usize = 3;

impl Warden {
    /// Waits for something to happen and sees to it.
    fn turn(&mut self, children: &Children) -> Result<(), Over> {
        let period = self.tree.as_ref().and(self.group.as_ref()).and_then(|group| group.as_ref().ok()?.period());
        let deadline = self.tree.as_ref().and_then(Tree::deadline);
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.into_iter().chain(period).min().map(|left| Timespec {
            tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        let (spoken, died) = {
            let mut fds = vec![PollFd::new(&self.socket, PollFlags::IN), PollFd::new(children, PollFlags::IN)];
            if let Some(tree) = &self.tree {
                fds.extend(tree.fds().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
                if let Some(Ok(group)) = &self.group {
                    fds.extend(group.hits().into_iter().map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)));
                }
            }
            match poll(&mut fds, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return Err(Over),
            }
            (!fds[0].revents().is_empty(), !fds[1].revents().is_empty())
        };
        if died {
            children.clear();
        }
        self.look(died)?;
        if spoken {
            self.hear()?;
        }
        Ok(())
    }

    /// Sees what has become of the tree, and tells.
    fn look(&mut self, died: bool) -> Result<(), Over> {
        let Some(tree) = &mut self.tree else {
            if died {
                // Nobody's: a child that a tree which was over had left to be reaped can't be.
                while matches!(crate::tree::reap(), Ok(Some(_))) {}
            }
            return Ok(());
        };
        let group = self.group.as_ref().and_then(|group| group.as_ref().ok());
        let mut told = Vec::new();
        let over = tree.look(died, group, &mut told);
        if over {
            self.tree = None;
        }
        for (report, fd) in told {
            self.tell(&report, fd.as_ref().map(AsFd::as_fd))?;
        }
        Ok(())
    }

    fn hear(&mut self) -> Result<(), Over> {
        let mut bytes = [0; READ];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let read = match rustix::net::recvmsg(&self.socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags) {
            Ok(message) => message.bytes,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            Err(_) => return Err(Over),
        };
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                self.fds.extend(fds);
            }
        }
        if read == 0 {
            return Err(Over);
        }
        self.inbox.extend_from_slice(&bytes[..read]);
        while let Some(order) = protocol::take(&mut self.inbox).map_err(|_| Over)? {
            self.obey(order)?;
        }
        Ok(())
    }

    fn obey(&mut self, order: Order) -> Result<(), Over> {
        match order {
            Order::Enter { root, name } => {
                self.group = Some(Group::enter(&root, &name).map_err(|error| Fault {
                    stage: Stage::Cgroup,
                    errno: error.raw_os_error().unwrap_or_default(),
                    detail: error.to_string(),
                }));
                Ok(())
            }
            Order::Signal { id, signal } => {
                if let Some(tree) = self.tree.as_mut().filter(|tree| tree.id == id) {
                    tree.signal(signal, self.group.as_ref().and_then(|group| group.as_ref().ok()));
                }
                Ok(())
            }
            Order::Start(start) => {
                let id = start.id;
                let started = match (&mut self.group, &self.tree) {
                    (_, Some(_)) => Err(Fault { stage: Stage::Fork, errno: 0, detail: "a tree is alive".to_owned() }),
                    (Some(Err(fault)), None) => Err(fault.clone()),
                    (Some(Ok(group)), None) => Tree::start(&start, &mut self.fds, Some(group), self.socket.as_fd()),
                    (None, None) => Tree::start(&start, &mut self.fds, None, self.socket.as_fd()),
                };
                self.fds.clear();
                match started {
                    Ok(tree) => {
                        let is_to_be_heard = tree.is_to_be_heard();
                        self.tree = Some(tree);
                        if is_to_be_heard {
                            self.look(false)?;
                        }
                    }
                    Err(fault) => self.tell(&Report::NotStarted { id, fault }, None)?,
                }
                Ok(())
            }
        }
    }

    fn tell(&self, report: &Report, fd: Option<BorrowedFd<'_>>) -> Result<(), Over> {
        let frame = protocol::frame(report).map_err(|_| Over)?;
        let fds: Vec<BorrowedFd<'_>> = fd.into_iter().collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut sent = 0;
        while sent < frame.len() {
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            if sent == 0 && !fds.is_empty() {
                ancillary.push(SendAncillaryMessage::ScmRights(&fds));
            }
            let rest = [io::IoSlice::new(&frame[sent..])];
            match rustix::net::sendmsg(&self.socket, &rest, &mut ancillary, SendFlags::NOSIGNAL) {
                Ok(more) => sent += more,
                Err(Errno::INTR) => {}
                Err(_) => return Err(Over),
            }
        }
        Ok(())
    }

    /// Ends what is left, with nobody there to tell.
    fn end(mut self, children: &Children) {
        while let Some(tree) = &mut self.tree {
            let group = self.group.as_ref().and_then(|group| group.as_ref().ok());
            tree.signal(Signal::Kill, group);
            let again = Timespec { tv_sec: 0, tv_nsec: KILL_AGAIN.subsec_nanos().into() };
            let _ = poll(&mut [PollFd::new(children, PollFlags::IN)], Some(&again));
            children.clear();
            if tree.look(true, group, &mut Vec::new()) {
                self.tree = None;
            }
        }
    }
}
