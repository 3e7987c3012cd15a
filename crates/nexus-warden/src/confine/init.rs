//! The init of a confined tree: starts the agent, reaps, signals all of the namespace, and takes it along when it ends.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{DumpableBehavior, Pid};

use super::control::{Word, heed, say};
use super::spaces::Spaces;
use super::{Inside, drop_capabilities, exact, loopback, refused, view};
use crate::protocol::{Confinement, Fault, Network, Signal, Stage};
use crate::tree::fork::{self, Children};
use crate::tree::{confess, descriptors, fault, signals};

/// The init of a confined tree, as a program of its own (started by bwrap). A failure means that it
/// could not even say what is wrong.
#[must_use]
pub fn inside(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let mut fd = || -> Option<OwnedFd> { descriptors::inherited(args.next()?.to_str()?.parse().ok()?).ok() };
    let (Some(way), Some(spec), Some(stderr)) = (fd(), fd(), fd()) else { return ExitCode::FAILURE };
    let read = || -> io::Result<Inside> {
        let mut bytes = Vec::new();
        let mut file = File::from(spec);
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        postcard::from_bytes(&bytes).map_err(io::Error::other)
    };
    let ready = read().and_then(|inside| {
        rustix::stdio::dup2_stderr(stderr)?;
        Ok(inside)
    });
    let ready = ready.map_err(|error| fault(Stage::Confine, &error)).and_then(|inside| {
        is_what_was_meant(&inside)?;
        Ok(inside)
    });
    match ready.and_then(|inside| serve(&inside, &way)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            let _ = say(way.as_fd(), &Word::NotStarted(failed), None);
            ExitCode::FAILURE
        }
    }
}

/// bwrap mounts by path, which somebody may have changed since it was looked at.
fn is_what_was_meant(inside: &Inside) -> Result<(), Fault> {
    for (place, identity) in &inside.identities {
        if exact::open(place).and_then(exact::Identity::of) != Ok(*identity) {
            let place = super::mounts::path(place).display();
            return Err(refused(&format!("{place} was replaced while it was mounted")));
        }
    }
    Ok(())
}

/// In a child that was forked into namespaces: is the init, to its end.
pub(super) fn become_init(inside: &Inside, way: &OwnedFd, spaces: Spaces, view: Option<&Confinement>) -> ! {
    let _ = rustix::thread::set_name(c"nexus-init");
    let settled = match view {
        Some(confinement) => view::enter(confinement),
        None => spaces.settle(&inside.write, &inside.exact).map_err(|error| fault(Stage::Confine, &error)),
    };
    match settled.and_then(|()| serve(inside, way)) {
        Ok(()) => fork::exit(0),
        Err(failed) => {
            let _ = say(way.as_fd(), &Word::NotStarted(failed), None);
            fork::exit(1)
        }
    }
}

/// Until nothing of the tree is left, or the warden is gone.
fn serve(inside: &Inside, way: &OwnedFd) -> Result<(), Fault> {
    let confine = |error: io::Error| fault(Stage::Confine, &error);
    // What came along is not its own: least of all the warden's end of the way, which has to close when the warden dies.
    descriptors::close_all_but(way.as_fd());
    fcntl_setfd(way, FdFlags::CLOEXEC).map_err(|error| confine(error.into()))?;
    let children = Children::new().map_err(confine)?;
    let listener = match inside.network {
        Network::Proxy { port } => {
            loopback::bring_up().map_err(confine)?;
            Some(TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).map_err(confine)?)
        }
        Network::Full | Network::None => None,
    };
    drop_capabilities().map_err(confine)?;
    // Nor may the agent look into it, or change it, as into other processes of its user.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| confine(error.into()))?;
    let (agent, mut faults) = start(inside, way)?;
    let mut bytes = Vec::new();
    // Until it is the agent, or says why it can't be.
    faults.read_to_end(&mut bytes).map_err(confine)?;
    if !bytes.is_empty() {
        return Err(postcard::from_bytes(&bytes).unwrap_or_else(|_| refused("its fault can't be read")));
    }
    let fd = listener.as_ref().map(AsFd::as_fd);
    if say(way.as_fd(), &Word::Started, fd).is_err() {
        return Ok(());
    }
    drop(listener);
    keep(&children, way, agent);
    Ok(())
}

fn start(inside: &Inside, way: &OwnedFd) -> Result<(Pid, File), Fault> {
    let confine = |error: io::Error| fault(Stage::Confine, &error);
    let (read, write) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|error| confine(error.into()))?;
    let mut pipe = File::from(write);
    let mut become_agent = || {
        let started = rustix::process::setsid()
            .map_err(io::Error::from)
            .and_then(|_| signals::unblock())
            .and_then(|()| say(way.as_fd(), &Word::Here, None));
        let failed = match started {
            Ok(()) => inside.become_program(),
            Err(error) => fault(Stage::Fork, &error),
        };
        confess(&mut pipe, &failed);
    };
    let agent = fork::child(&mut become_agent).map_err(|error| fault(Stage::Fork, &error))?;
    Ok((agent, File::from(read)))
}

fn keep(children: &Children, way: &OwnedFd, agent: Pid) {
    loop {
        let mut fds = [PollFd::new(way, PollFlags::IN), PollFd::new(children, PollFlags::IN)];
        if poll(&mut fds, None).is_err_and(|error| error != rustix::io::Errno::INTR) {
            return;
        }
        children.clear();
        loop {
            match fork::wait() {
                Ok(Some(reaped)) if reaped.pid == agent => {
                    if say(way.as_fd(), &Word::LeaderExited(reaped.exit), None).is_err() {
                        return;
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
        match heed(way.as_fd()) {
            Ok(Some(signal)) => obey(signal, agent),
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

fn obey(signal: Signal, agent: Pid) {
    use rustix::process::{Signal as Number, kill_process_group};
    match signal {
        Signal::Interrupt => drop(kill_process_group(agent, Number::INT)),
        Signal::Terminate => signals::signal_all(Number::TERM),
        Signal::Kill => signals::signal_all(Number::KILL),
    }
}
