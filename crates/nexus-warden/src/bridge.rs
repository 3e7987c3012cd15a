//! An agent's way to its company's tools: what it prints and reads, carried to a door that lies outside of its sandbox.
//!
//! The door is a directory: a file with a token, which is said first, and a socket. Where a confined agent can't make sockets,
//! because nothing else stands between it and all those that lie about, there are pipes beside it ([`pipes`]).

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

#[cfg(target_os = "linux")]
mod pipes;

/// The files in a door's directory.
pub const TOKEN: &str = "token";
pub const SOCKET: &str = "socket";

/// `bridge DIR`: ends when either side does.
#[must_use]
pub fn bridge(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let crossed = match args.next() {
        Some(place) => cross(Path::new(&place)),
        None => Err(io::Error::other("which door? Say its directory")),
    };
    match crossed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "nexus: the way to the company's tools: {error}");
            ExitCode::FAILURE
        }
    }
}

fn cross(place: &Path) -> io::Result<()> {
    // A socket's path may not be long: it is named from where it lies.
    std::env::set_current_dir(place)?;
    let token = std::fs::read(TOKEN)?;
    match UnixStream::connect(SOCKET) {
        Ok(stream) => {
            let back = stream.try_clone()?;
            carry(&token, stream, |stream| drop(stream.shutdown(Shutdown::Write)), back)
        }
        #[cfg(target_os = "linux")]
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let (there, back) = pipes::take()?;
            carry(&token, there, drop, back)
        }
        Err(error) => Err(error),
    }
}

/// Copying takes a buffer of 8 KiB.
const STACK: usize = 64 * 1024;

/// Carries standard input there and what comes back to standard output; `close` says that nothing more will come from here.
fn carry<W: Write + Send + 'static>(
    token: &[u8],
    mut there: W,
    close: impl FnOnce(W) + Send + 'static,
    mut back: impl Read,
) -> io::Result<()> {
    there.write_all(token)?;
    there.write_all(b"\n")?;
    std::thread::Builder::new().stack_size(STACK).spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut there);
        close(there);
    })?;
    let carried = copy(&mut back)?;
    if carried == 0 {
        return Err(io::Error::other("it was closed; this task has too many connections, or its attempt is over"));
    }
    Ok(())
}

/// To standard output, at once and not by lines.
fn copy(back: &mut impl Read) -> io::Result<u64> {
    let mut out = io::stdout().lock();
    let (mut buffer, mut carried) = ([0; 8192], 0);
    loop {
        match back.read(&mut buffer) {
            Ok(0) => return Ok(carried),
            Ok(read) => {
                out.write_all(&buffer[..read])?;
                out.flush()?;
                carried += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
