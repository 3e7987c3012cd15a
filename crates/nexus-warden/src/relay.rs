//! Within a container that has no network: a way to the company's proxy, which listens outside on a socket in the file system.
//! It becomes the agent, and leaves a process behind that carries bytes, which ends with the container.

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// `relay PORT SOCKET PROGRAM ARGUMENTS...`: returns only if the program can't be had.
#[must_use]
pub fn relay(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let port = args.next().and_then(|port| port.to_str()?.parse().ok());
    let (Some(port), Some(socket), Some(program)) = (port, args.next(), args.next()) else { return ExitCode::FAILURE };
    if let Err(error) = leave_a_carrier(port, &socket) {
        say(&format!("its way to the proxy: {error}"));
        return ExitCode::FAILURE;
    }
    let error = Command::new(&program).args(args).exec();
    say(&format!("{}: {error}", program.display()));
    // As a shell says it.
    ExitCode::from(127)
}

fn leave_a_carrier(port: u16, socket: &OsString) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let mut carrier = Command::new("/proc/self/exe");
    carrier.arg("carry").arg(socket).env_clear();
    // The listener is its standard input; what the agent prints is the agent's alone.
    carrier.stdin(OwnedFd::from(listener)).stdout(Stdio::null()).stderr(Stdio::null());
    carrier.spawn().map(drop)
}

fn say(text: &str) {
    use io::Write;
    let _ = writeln!(io::stderr(), "nexus: {text}");
}

/// `carry SOCKET`, with a listener as its standard input: one connection there for each that comes in here, to its end. The
/// proxy says how many there may be at a time.
#[must_use]
pub fn carry(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let (Some(socket), Ok(listener)) = (args.next().map(PathBuf::from), rustix::io::dup(rustix::stdio::stdin())) else {
        return ExitCode::FAILURE;
    };
    let listener = TcpListener::from(listener);
    loop {
        let Ok((stream, _)) = listener.accept() else { return ExitCode::FAILURE };
        let socket = socket.clone();
        // Dropped when there can be no more threads, which the agent sees as a connection that is closed.
        let _ = std::thread::Builder::new().stack_size(STACK).spawn(move || drop(join(&stream, &socket)));
    }
}

/// Copying takes a buffer of 8 KiB.
const STACK: usize = 64 * 1024;

fn join(inside: &TcpStream, socket: &Path) -> io::Result<()> {
    let outside = UnixStream::connect(socket)?;
    std::thread::scope(|scope| {
        let there = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || {
            let copied = io::copy(&mut &*inside, &mut &outside);
            let _ = outside.shutdown(Shutdown::Write);
            copied
        });
        let back = io::copy(&mut &outside, &mut &*inside);
        let _ = inside.shutdown(Shutdown::Write);
        if there.is_err() || back.is_err() {
            let _ = (inside.shutdown(Shutdown::Both), outside.shutdown(Shutdown::Both));
        }
    });
    Ok(())
}
